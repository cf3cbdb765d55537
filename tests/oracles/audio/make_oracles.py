"""Golden vectors of the audio presets, computed by the libraries themselves.

    python -m venv peers && peers/bin/pip install librosa==0.11.0 torch==2.15.0 torchaudio==2.11.0
    peers/bin/python make_oracles.py .                 # presets.{txt,bin}, parts.{txt,bin}
    python3.12 -m venv later && later/bin/pip install librosa==1.0.0
    later/bin/python make_oracles.py .                 # librosa_1.{txt,bin}

What is run follows from the librosa that is installed. Inputs are given by a formula (see `signal`), so that a test makes
them again exactly; every sample is a multiple of a power of two that float holds. For each case the file keeps

  f64   the peer run wholly in f64 (mel weights with dtype float64; torch's default dtype float64)
  f32   the peer's own f32 output, the way its users call it

at some rows and frames (all when there are few; the first and last always). Peers:

  librosa-0.11, librosa-1.0   librosa.stft, feature.melspectrogram, power_to_db, feature.mfcc, effects.preemphasis
  torchaudio                  transforms.Spectrogram, MelSpectrogram, AmplitudeToDB, MFCC; functional.create_dct, preemphasis
  kaldi                       torchaudio.compliance.kaldi.fbank and mfcc; its _get_window and torch.fft.rfft for stft and power
  whisper                     the definition in openai/whisper's audio.py (a few lines of torch), over torch.stft and
                              librosa.filters.mel, from which whisper's stored filters were made

The .txt has one line per case: key=value fields; the .bin the values, little-endian, f64 block before f32 block.
"""
import argparse
import math
import pathlib
import random
import sys
import warnings

import librosa
import numpy as np
import scipy.fft
import scipy.signal

warnings.simplefilter("ignore")
LIBROSA_1 = librosa.__version__.startswith("1.")
if not LIBROSA_1:
    import torch

    torch.version.cuda = None  # everything runs on the CPU; torchaudio refuses a torch of another CUDA minor version
    import torchaudio
    import torchaudio.compliance.kaldi as compliance

MASK = (1 << 64) - 1


def noise_bits(seed, count):
    """Knuth's 64-bit linear congruential generator; the upper 24 bits of every state."""
    state = (seed * 2862933555777941757 + 3037000493) & MASK
    out = np.empty(count, dtype=np.int64)
    for i in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) & MASK
        out[i] = state >> 40
    return out


def signal(kind, seed, n):
    """(n) float64; every value is exact in float32."""
    i = np.arange(n, dtype=np.int64)
    if kind == "silence":
        return np.zeros(n)
    if kind == "impulse":
        return (i == n // 3).astype(np.float64)
    if kind == "dc":
        return np.full(n, 0.5)
    if kind == "square":
        return np.where(i // 25 % 2 == 0, 1.0, -1.0)
    if kind == "noise":
        return (noise_bits(seed, n) - 2**23) / 2**23
    if kind == "saw":  # a loud tone over quiet noise
        tone = ((i * 37 + seed) % 1024 - 512) / 1024
        return tone + ((noise_bits(seed, n) >> 13) - 1024) / 2**19
    raise ValueError(kind)


def clip_of(case, dtype):
    """(channels, n): channel c is the signal of seed + c, divided by 8 for every further channel."""
    rows = [signal(case["signal"], case["seed"] + c, case["samples"]) / 8**c for c in range(case["channels"])]
    return np.stack(rows).astype(dtype)


# ---------------------------------------------------------------------------------------------------------------- peers
def scipy_window(name, length, periodic, dtype):
    if name == "rectangular":
        return np.ones(length, dtype)
    base = "hann" if name == "povey" else name
    w = scipy.signal.get_window(base, length, fftbins=periodic)
    return (w**0.85 if name == "povey" else w).astype(dtype)


def run_librosa(case, o, y, dtype):
    if o.get("preemphasis"):
        y = librosa.effects.preemphasis(y, coef=o["preemphasis"])
    n_fft = o.get("n_fft", 2048)
    win = o.get("win_length", n_fft)
    name = o.get("window", "hann")
    if name == "hann" and o.get("periodic", True):
        window = "hann"
    else:
        window = scipy_window(name, win, o.get("periodic", True), dtype)
    frame = dict(
        n_fft=n_fft,
        hop_length=o.get("hop_length", 512),
        win_length=win,
        window=window,
        center=o.get("center", True),
        pad_mode={"edge-mirror": "symmetric"}.get(o.get("pad_mode", "constant"), o.get("pad_mode", "constant")),
    )
    power = o.get("power", 2.0)
    if case["feature"] == "stft":
        return librosa.stft(y, **frame)
    if case["feature"] == "power":
        return np.abs(librosa.stft(y, **frame)) ** power
    mel = dict(
        frame,
        sr=case["rate"],
        power=power,
        n_mels=o.get("n_mels", 128),
        fmin=o.get("fmin", 0.0),
        fmax=o.get("fmax"),
        htk=o.get("htk", False),
        dtype=dtype,
    )
    norm = None if o.get("norm", "slaney") == "none" else "slaney"
    top_db = o.get("top_db", 80.0)
    db = dict(ref=o.get("ref", 1.0), amin=o.get("amin", 1e-10), top_db=None if top_db == "none" else top_db)
    cepstra = dict(
        n_mfcc=o.get("n_mfcc", 20),
        dct_type=o.get("dct_type", 2),
        norm=None if o.get("dct_norm", "ortho") == "none" else "ortho",
        lifter=o.get("lifter", 0),
    )
    plain = not any(k in o for k in ("top_db", "ref", "amin"))
    if case["feature"] == "mfcc" and plain:
        return librosa.feature.mfcc(y=y, mel_norm=norm, **mel, **cepstra)
    energies = librosa.feature.melspectrogram(y=y, norm=norm, **mel)
    if case["feature"] == "mel":
        return energies
    levels = librosa.power_to_db(energies, **db)
    return levels if case["feature"] == "logmel" else librosa.feature.mfcc(S=levels, **cepstra)


def torch_window(name):
    return {
        "hann": lambda n, **k: torch.hann_window(n, **k),
        "hamming": lambda n, **k: torch.hamming_window(n, **k),
        "blackman": lambda n, **k: torch.blackman_window(n, **k),
        "rectangular": lambda n, **k: torch.ones(n),
        "povey": lambda n, **k: torch.hann_window(n, **k) ** 0.85,
    }[name]


def run_torchaudio(case, o, y):
    x = torch.from_numpy(y)
    if o.get("preemphasis"):
        x = torchaudio.functional.preemphasis(x, o["preemphasis"])
    n_fft = o.get("n_fft", 400)
    frame = dict(
        n_fft=n_fft,
        win_length=o.get("win_length"),
        hop_length=o.get("hop_length"),
        window_fn=torch_window(o.get("window", "hann")),
        wkwargs={"periodic": o.get("periodic", True)},
        center=o.get("center", True),
        pad_mode={"edge": "replicate"}.get(o.get("pad_mode", "reflect"), o.get("pad_mode", "reflect")),
        normalized={"none": False}.get(o.get("normalized", "none"), o.get("normalized", "none")),
    )
    power = o.get("power", 2.0)
    if case["feature"] in ("stft", "power"):
        return torchaudio.transforms.Spectrogram(power=None if case["feature"] == "stft" else power, **frame)(x).numpy()
    mel = dict(
        frame,
        power=power,
        n_mels=o.get("n_mels", 128),
        f_min=o.get("fmin", 0.0),
        f_max=o.get("fmax"),
        mel_scale="slaney" if o.get("htk") is False else "htk",
        norm=None if o.get("norm", "none") == "none" else "slaney",
    )
    ortho = "ortho" if o.get("dct_norm", "ortho") == "ortho" else None
    if case["feature"] == "mfcc" and "top_db" not in o:
        natural = o.get("log") == "ln"
        return torchaudio.transforms.MFCC(case["rate"], o.get("n_mfcc", 40), norm=ortho, log_mels=natural, melkwargs=mel)(x).numpy()
    energies = torchaudio.transforms.MelSpectrogram(case["rate"], **mel)(x)
    if case["feature"] == "mel":
        return energies.numpy()
    top_db = o.get("top_db", 80.0)
    if o.get("log") == "ln":
        levels = torch.log(energies + 1e-6)
    else:
        levels = torchaudio.transforms.AmplitudeToDB("power", None if top_db == "none" else top_db)(energies)
    if case["feature"] == "logmel":
        return levels.numpy()
    dct = torchaudio.functional.create_dct(o.get("n_mfcc", 40), mel["n_mels"], ortho)
    return torch.matmul(levels.transpose(-1, -2), dct).transpose(-1, -2).numpy()


def run_kaldi(case, o, y):
    rate = case["rate"]
    x = torch.from_numpy(y) * o.get("scale", 1.0)
    # half a sample more, so that the library's int(rate * ms * 0.001) gives the length that is meant
    length = (o["win_length"] + 0.5) * 1000.0 / rate if "win_length" in o else 25.0
    shift = (o["hop_length"] + 0.5) * 1000.0 / rate if "hop_length" in o else 10.0
    win = o.get("win_length", int(rate * 25.0 * 0.001))
    hop = o.get("hop_length", int(rate * 10.0 * 0.001))
    names = {"hann": "hanning"}
    window = names.get(o.get("window", "povey"), o.get("window", "povey"))
    n_fft = o.get("n_fft", 1 << (win - 1).bit_length())
    energy = o.get("energy", "none")
    common = dict(
        energy_floor=o.get("energy_floor", 1.0),
        preemphasis_coefficient=o.get("preemphasis", 0.97),
        raw_energy=energy != "windowed",
        remove_dc_offset=o.get("remove_dc", True),
        snip_edges=not o.get("center", False),
    )
    out = []
    for channel in range(x.shape[0]):
        if case["feature"] in ("stft", "power"):
            frames, _ = compliance._get_window(
                x[channel], n_fft, win, hop, window, 0.42, common["snip_edges"], True, common["energy_floor"], 0.0,
                common["remove_dc_offset"], common["preemphasis_coefficient"])
            bins = torch.fft.rfft(frames)
            out.append((bins if case["feature"] == "stft" else bins.abs().pow(o.get("power", 2.0))).numpy().T)
            continue
        bank = dict(
            common,
            frame_length=length,
            frame_shift=shift,
            sample_frequency=float(rate),
            round_to_power_of_two=n_fft != win,
            window_type=window,
            num_mel_bins=o.get("n_mels", 23),
            low_freq=o.get("fmin", 20.0),
            high_freq=o.get("fmax", 0.0),
            channel=channel,
        )
        if case["feature"] == "mfcc":
            rows = compliance.mfcc(x, num_ceps=o.get("n_mfcc", 13), cepstral_lifter=o.get("lifter", 22.0),
                                   use_energy=energy != "none", **bank)
        else:
            rows = compliance.fbank(x, use_log_fbank=case["feature"] == "logmel", use_power=o.get("power", 2.0) == 2.0, **bank)
        out.append(rows.numpy().T)
    return np.stack(out)


def run_whisper(case, o, y, dtype):
    n_mels = o.get("n_mels", 80)
    if "pad" in o:
        y = np.pad(y, ((0, 0), (0, max(0, o["pad"] - y.shape[1]))))
    x = torch.from_numpy(y)
    bins = torch.stft(x, 400, 160, window=torch.hann_window(400), return_complex=True)[..., :-1]
    if case["feature"] == "stft":
        return bins.numpy()
    magnitudes = bins.abs() ** 2
    if case["feature"] == "power":
        return magnitudes.numpy()
    filters = torch.from_numpy(librosa.filters.mel(sr=case["rate"], n_fft=400, n_mels=n_mels, dtype=dtype))
    energies = filters @ magnitudes
    if case["feature"] == "mel":
        return energies.numpy()
    levels = torch.clamp(energies, min=1e-10).log10()
    levels = torch.maximum(levels, levels.max() - 8.0)
    return ((levels + 4.0) / 4.0).numpy()


def run_peer(case, dtype):
    o, y = case["options"], clip_of(case, dtype)
    if case["preset"].startswith("librosa"):
        return run_librosa(case, o, y, dtype)
    torch.set_default_dtype(torch.float64 if dtype == np.float64 else torch.float32)
    if case["preset"] == "torchaudio":
        return run_torchaudio(case, o, y)
    if case["preset"] == "kaldi":
        return run_kaldi(case, o, y)
    return run_whisper(case, o, y, dtype)


# ---------------------------------------------------------------------------------------------------------------- cases
FEATURES = ["stft", "power", "mel", "logmel", "mfcc"]
RATE = {"librosa": 22050, "torchaudio": 16000, "kaldi": 16000, "whisper": 16000}


def fixed_cases(preset):
    """Every feature on every special signal, with the preset's defaults; short clips; two channels; long enough for rows."""
    rate = RATE[preset.split("-")[0]]
    features = FEATURES[:4] if preset == "whisper" else FEATURES
    for feature in features:
        for kind in ["impulse", "dc", "silence", "square", "noise", "saw"]:
            yield dict(preset=preset, feature=feature, rate=rate, signal=kind, seed=1, samples=6000, channels=1, options={})
        short = {"librosa": [1, 2, 700, 1024, 1025, 2047, 2048, 2049], "torchaudio": [201, 399, 400, 401],
                 "kaldi": [400, 401, 559, 560], "whisper": [201, 320, 399, 400, 401]}[preset.split("-")[0]]
        for samples in short:
            yield dict(preset=preset, feature=feature, rate=rate, signal="noise", seed=samples, samples=samples, channels=1, options={})
        yield dict(preset=preset, feature=feature, rate=rate, signal="saw", seed=5, samples=5000, channels=2, options={})
    if preset.startswith("librosa"):  # the tail that librosa pads as a piece of its own
        for n_fft, hop, samples in [(400, 200, 1400), (512, 300, 3000), (512, 256, 512), (512, 256, 256), (511, 256, 1792)]:
            yield dict(preset=preset, feature="stft", rate=rate, signal="noise", seed=8, samples=samples, channels=1,
                       options={"n_fft": n_fft, "hop_length": hop, "pad_mode": "reflect", "window": "rectangular"})
    if preset == "kaldi":
        for feature in features:
            yield dict(preset=preset, feature=feature, rate=rate, signal="saw", seed=6, samples=6000, channels=1, options={"scale": 32768.0})
    if preset == "whisper":
        yield dict(preset=preset, feature="logmel", rate=rate, signal="saw", seed=7, samples=6000, channels=1, options={"pad": 9600})


LENGTHS = [97, 127, 251, 509, 1021, 128, 256, 512, 1024, 400, 1000, 255, 513, 480, 600]


def draw(rng, preset):
    """One random setting of the preset."""
    o = {}
    family = preset.split("-")[0]
    rate = rng.choice([8000, 11025, 16000, 22050, 44100])
    samples = rng.randint(700, 4000)
    maybe = lambda p=0.5: rng.random() < p
    if family == "whisper":
        rate = 16000
        samples = rng.randint(201, 4000)
        o["n_mels"] = rng.choice([80, 128])
        return rate, samples, o
    n_fft = rng.choice(LENGTHS)
    if family == "kaldi":
        win = rng.choice([n for n in LENGTHS if n < 700])
        o["win_length"] = win
        o["hop_length"] = rng.choice([win // 2, win // 3, win // 4, 2 * win + 3, 101])
        n_fft = 1 << (win - 1).bit_length()
        if win % 2 == 0 and maybe(0.3):
            n_fft = o["n_fft"] = win  # round_to_power_of_two = False
        if maybe():
            o["window"] = rng.choice(["hann", "hamming", "povey", "blackman", "rectangular"])
        if maybe(0.4):
            o["center"] = True
        if maybe(0.3):
            o["preemphasis"] = rng.choice([0.0, 0.5, 0.95])
        if maybe(0.3):
            o["remove_dc"] = False
        if maybe(0.3):
            o["energy"] = rng.choice(["raw", "windowed"])
        if maybe(0.3):
            o["energy_floor"] = rng.choice([0.0, 0.1])
        if maybe(0.3):
            o["scale"] = 32768.0
        if maybe(0.3):
            o["fmin"] = rng.choice([0.0, 64.0])
        if maybe(0.3):
            o["fmax"] = rng.choice([-400.0, 3800.0])
        o["n_mels"] = rng.choice([15, 23, 40, 80])
        if maybe():
            o["n_mfcc"] = rng.randint(1, o["n_mels"])
        if maybe():
            o["lifter"] = rng.choice([0.0, 10.0, 25.5])
        return rate, samples, o

    o["n_fft"] = n_fft
    if maybe(0.7):
        o["hop_length"] = rng.choice([n_fft // 4, n_fft // 3, n_fft // 2, n_fft, n_fft + 37, 2 * n_fft + 1, 101])
    if maybe(0.4):
        o["win_length"] = rng.randint(max(2, n_fft // 3), n_fft)
    if maybe():
        o["window"] = rng.choice(["hann", "hamming", "povey", "blackman", "rectangular"])
    if maybe(0.2):
        o["periodic"] = False
    if maybe(0.3):
        o["center"] = False
    if maybe():
        o["pad_mode"] = rng.choice(["constant", "reflect", "edge"] + (["edge-mirror"] if family == "librosa" else []))
    if maybe(0.3):
        o["power"] = rng.choice([1.0, 1.5, 3.0])
    o["n_mels"] = rng.choice([5, 13, 20, 40, 64, 128, 160])
    if maybe(0.3):
        o["fmin"] = rng.choice([20.0, 133.25, 1100.0])
    if maybe(0.3):
        o["fmax"] = rng.choice([3000.0, rate / 2 - 7.5, 1500.5])
    if maybe(0.3):
        o["htk"] = rng.choice([True, False])
    if maybe(0.3):
        o["norm"] = rng.choice(["none", "slaney"])
    if maybe(0.4):
        o["top_db"] = rng.choice(["none", 20.0, 60.5, 80.0])
    if maybe(0.7):
        o["n_mfcc"] = rng.randint(1, o["n_mels"])
    if family == "torchaudio":
        o.setdefault("n_mfcc", min(40, o["n_mels"]))
    o["n_mfcc"] = min(o.get("n_mfcc", 20), o["n_mels"])
    if maybe(0.3):
        o["dct_norm"] = "none"
    if maybe(0.2):
        o["preemphasis"] = rng.choice([0.97, 0.5])
    if family == "librosa":
        if maybe(0.4):
            o["dct_type"] = 3
        if maybe(0.4):
            o["lifter"] = rng.choice([22.0, 10.5])
        if maybe(0.2):
            o["ref"] = rng.choice([0.5, 100.0])
        if maybe(0.2):
            o["amin"] = rng.choice([1e-5, 1e-3])
    else:
        if maybe(0.2):
            o["normalized"] = rng.choice(["window", "frame_length"])
        if maybe(0.2) and "top_db" not in o:
            o.update(log="ln", amin=0.0, log_offset=1e-6, top_db="none")
    return rate, samples, o


def random_cases(preset, count, seed):
    rng = random.Random(seed)
    for i in range(count):
        rate, samples, o = draw(rng, preset)
        feature = (FEATURES[:4] if preset == "whisper" else FEATURES)[i % (4 if preset == "whisper" else 5)]
        kind = rng.choice(["noise", "saw", "saw", "square"])
        yield dict(preset=preset, feature=feature, rate=rate, signal=kind, seed=rng.randint(1, 10**6), samples=samples, channels=1, options=o)


def torch_options(case):
    """run_torchaudio takes "log=ln with top_db=none" as the library's log_mels."""
    if case["preset"] == "torchaudio" and case["options"].get("log") == "ln":
        return dict(case, options={k: v for k, v in case["options"].items() if k != "top_db"})
    return case


def chosen(total, limit, head, rng):
    if total <= limit:
        return list(range(total))
    inner = rng.sample(range(head, total - head), limit - 2 * head)
    return sorted(list(range(head)) + inner + list(range(total - head, total)))


def as_text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def write_cases(stem, cases, header):
    lines, blob, offset = [header], bytearray(), 0
    rng = random.Random(20)
    for number, case in enumerate(cases):
        full = run_peer(torch_options(case), np.float64)
        single = run_peer(torch_options(case), np.float32)
        assert full.shape == single.shape and full.ndim == 3, (case, full.shape, single.shape)
        assert np.isfinite(full).all() and np.isfinite(single).all(), case
        assert full.dtype in (np.float64, np.complex128) and single.dtype in (np.float32, np.complex64), (case, full.dtype, single.dtype)
        channels, rows, frames = full.shape
        if frames == 0:
            continue
        r, f = chosen(rows, 24, 6, rng), chosen(frames, 10, 4, rng)
        pick = np.ix_(range(channels), r, f)
        wide, narrow = np.ascontiguousarray(full[pick]), np.ascontiguousarray(single[pick])
        data = wide.tobytes() + narrow.tobytes()
        options = ",".join(f"{k}={as_text(v)}" for k, v in case["options"].items()) or "-"
        lines.append(" ".join([
            f"case={number}", *(f"{k}={case[k]}" for k in ("preset", "feature", "rate", "signal", "seed", "samples", "channels")),
            f"options={options}", f"rows={rows}", f"frames={frames}", "row=" + ",".join(map(str, r)),
            "frame=" + ",".join(map(str, f)), f"offset={offset}"]))
        blob += data
        offset += len(data)
    pathlib.Path(stem + ".txt").write_text("\n".join(lines) + "\n")
    pathlib.Path(stem + ".bin").write_bytes(bytes(blob))
    print(stem, len(lines) - 1, "cases", len(blob), "bytes", file=sys.stderr)


# ---------------------------------------------------------------------------------------------------------------- parts
def parts():
    """Named arrays of the single steps: (name, peer, array)."""
    for name in ["hann", "hamming", "blackman"]:
        for n in [1, 2, 16, 17]:
            for periodic in (True, False):
                yield f"window/{name}/{n}/{'periodic' if periodic else 'symmetric'}", scipy.signal.get_window(name, n, fftbins=periodic)
    torch.set_default_dtype(torch.float64)
    yield "window/povey/25/symmetric", compliance._feature_window_function("povey", 25, 0.42, "cpu", torch.float64).numpy()
    yield "window/blackman/25/symmetric", compliance._feature_window_function("blackman", 25, 0.42, "cpu", torch.float64).numpy()
    for scale, rate, n_fft, n_mels in [("slaney", 22050, 512, 40), ("slaney", 16000, 400, 80), ("slaney", 8000, 127, 40)]:
        for norm in ("slaney", None):
            yield f"mel/{scale}/{norm or 'none'}/exact/{rate}/{n_fft}/{n_mels}", librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels, norm=norm, dtype=np.float64)
    yield "mel/htk/none/exact/22050/509/30", librosa.filters.mel(sr=22050, n_fft=509, n_mels=30, norm=None, htk=True, dtype=np.float64)
    yield "mel/htk/slaney/linspace/11025/255/30", torchaudio.functional.melscale_fbanks(128, 0.0, 5512.0, 30, 11025, "slaney", "htk").T.numpy()
    bank, _ = compliance.get_mel_banks(23, 512, 16000.0, 20.0, 0.0, 100.0, -500.0, 1.0)
    yield "mel/kaldi/none/exact/16000/512/23", np.pad(bank.numpy(), ((0, 0), (0, 1)))
    for kind in (2, 3):
        for norm in ("ortho", None):
            for n in (1, 7, 12):
                yield f"dct/{kind}/{norm or 'none'}/{n}", scipy.fft.dct(np.eye(n), type=kind, norm=norm, axis=0)
    x = signal("noise", 3, 400).reshape(4, 100)
    for width, order in [(3, 1), (5, 1), (9, 1), (9, 2), (11, 2), (15, 1)]:
        yield f"delta/interp/{width}/{order}", librosa.feature.delta(x, width=width, order=order)
    for width, order in [(9, 1), (9, 2)]:
        yield f"delta/nearest/{width}/{order}", librosa.feature.delta(x, width=width, order=order, mode="nearest")
    for width in (3, 5, 9):
        yield f"delta/replicate/{width}/1", torchaudio.functional.compute_deltas(torch.from_numpy(x), width).numpy()
    x = signal("noise", 4, 50)
    yield "preemphasis/extrapolate/0.97", librosa.effects.preemphasis(x, coef=0.97)
    yield "preemphasis/keep/0.97", torchaudio.functional.preemphasis(torch.from_numpy(x), 0.97).numpy()
    for kind in ("noise", "saw", "square", "silence", "impulse"):
        y = signal(kind, 9, 5000)
        s = np.abs(librosa.stft(y, n_fft=512, hop_length=200))
        common = dict(n_fft=512, hop_length=200)
        yield f"statistics/{kind}/centroid", librosa.feature.spectral_centroid(y=y, sr=16000, **common)[0]
        yield f"statistics/{kind}/bandwidth", librosa.feature.spectral_bandwidth(y=y, sr=16000, **common)[0]
        yield f"statistics/{kind}/rolloff", librosa.feature.spectral_rolloff(y=y, sr=16000, **common)[0]
        yield f"statistics/{kind}/flatness", librosa.feature.spectral_flatness(y=y, **common)[0]
        yield f"statistics/{kind}/rms", librosa.feature.rms(y=y, frame_length=512, hop_length=200, dtype=np.float64)[0]
        yield f"statistics/{kind}/zero_crossing_rate", librosa.feature.zero_crossing_rate(y, frame_length=512, hop_length=200)[0]
        del s
    y = signal("saw", 2, 3000)
    for n_fft, hop, win, center in [(256, 64, 256, True), (256, 100, 200, True), (255, 60, 255, True), (128, 32, 128, False)]:
        bins = librosa.stft(y, n_fft=n_fft, hop_length=hop, win_length=win, center=center)
        bins *= np.linspace(1.0, 0.5, bins.shape[0])[:, None]  # no longer the transform of any signal
        out = librosa.istft(bins, n_fft=n_fft, hop_length=hop, win_length=win, center=center)
        yield f"istft/{n_fft}/{hop}/{win}/{'true' if center else 'false'}", out


def write_parts(stem, header):
    lines, blob = [header], bytearray()
    for name, array in parts():
        array = np.ascontiguousarray(array, dtype=np.float64)
        lines.append(f"{name} {','.join(map(str, array.shape))} {len(blob)}")
        blob += array.tobytes()
    pathlib.Path(stem + ".txt").write_text("\n".join(lines) + "\n")
    pathlib.Path(stem + ".bin").write_bytes(bytes(blob))
    print(stem, len(lines) - 1, "arrays", len(blob), "bytes", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    out = parser.parse_args().out
    header = f"# librosa={librosa.__version__} numpy={np.__version__} scipy={scipy.__version__}"
    if LIBROSA_1:
        cases = [*fixed_cases("librosa-1.0"), *random_cases("librosa-1.0", 60, 1)]
        return write_cases(str(out / "librosa_1"), cases, header)
    header += f" torch={torch.__version__.split('+')[0]} torchaudio={torchaudio.__version__.split('+')[0]}"
    cases = []
    for preset, draws in [("librosa-0.11", 60), ("torchaudio", 60), ("kaldi", 60), ("whisper", 20)]:
        cases += [*fixed_cases(preset), *random_cases(preset, draws, 1)]
    write_cases(str(out / "presets"), cases, header)
    write_parts(str(out / "parts"), header)


main()

"""Front ends: the fused chain against the bare transforms it contains, and against the libraries people use."""
from __future__ import annotations

from case import Case, CheckFailed, Contest, Ratio, Setting, check_2x, check_bound, dataset, peer
from fair import Arm

SECONDS = 30.0
SEED = 1
FRAMES_PER_FFTW_PLAN = 4  # the second form of the limit: FFTW finds a faster plan for a few transforms at once


def clip(rate: int, clips: int = 1, seconds: float = SECONDS):
    """(clips, samples) of float32: three tones that glide, and noise 40 dB below; the content costs no arm time."""
    np = peer("numpy")
    generator = np.random.default_rng(SEED)
    t = np.arange(int(rate * seconds)) / rate
    rows = []
    for _ in range(clips):
        low, high = generator.uniform(60, 200, 3), generator.uniform(300, 3000, 3)
        phase = 2 * np.pi * (low[:, None] * t + (high - low)[:, None] * t**2 / (2 * seconds))
        rows.append(0.2 * np.sin(phase).sum(axis=0) + 0.005 * generator.standard_normal(t.size))
    return np.ascontiguousarray(rows, dtype=np.float32)


def described(signal, rate: int) -> list:
    return [dataset(f"gliding tones with noise, {signal.shape[0]} x {signal.shape[1] / rate:g} s at {rate} Hz",
                    f"seed {SEED}", signal, synthetic=True)]


def ours_arm(library, signal, preset: str, feature: str, engine: str, rate: int, threads: int, name: str):
    """The arm and the array that it fills: (clips, rows, frames)."""
    np = peer("numpy")
    clips, samples = signal.shape
    prepared = library.audio(preset, feature, engine, rate, samples, clips, threads)
    kind = np.complex64 if feature == "stft" else np.float32
    out = np.zeros((clips, prepared.rows, prepared.columns), kind)
    run = prepared.call(signal, out)
    run()
    return Arm(name, run, library.version(), threads=threads, dtype="c64" if feature == "stft" else "f32"), out


def check_definition(library, preset: str, feature: str, engine: str, rate: int) -> dict:
    """Two seconds against the plain sums in double. The kernel promises its spectrum in units of an f32 rounding of the
    samples; behind it the bound is what a change of the samples by one rounding does to the definition itself."""
    np = peer("numpy")
    short = clip(rate, seconds=2.0)
    _, ours = ours_arm(library, short, preset, feature, engine, rate, 1, "")
    reference = library.audio_reference(preset, feature, rate, short.shape[1])
    wanted, moved = np.zeros_like(ours), np.zeros_like(ours)
    reference.call(short, wanted)()
    rounding = np.float32(2.0**-23 * np.max(np.abs(short)))
    noise = np.random.default_rng(SEED).uniform(-1, 1, short.shape).astype(np.float32)
    reference.call(short + rounding * noise, moved)()
    one_rounding = max(np.max(np.abs(moved - wanted)), 2.0**-23 * np.max(np.abs(wanted)))
    bound = library.audio_promise(preset, engine, rate, short.shape[1]) * one_rounding
    return check_bound(f"{preset} {feature} ({engine} FFT), 2 s", "plain sums in double", library.version(),
                       np.max(np.abs(ours - wanted)), bound)


# --- against the limit ------------------------------------------------------------------------------------------------

def limit_arms(library, frames: int, threads: int):
    arms = []
    for together in (1, FRAMES_PER_FFTW_PLAN):
        limit = library.fftw_limit(2048, frames, together, threads)
        name = "FFTW alone" if together == 1 else f"FFTW alone, {together} frames per plan"
        arms.append(Arm(name, limit.call(), library.fftw_version(), threads=threads))
    return arms


def against_limit(engine: str, target: float, clips: int = 1):
    def build(setting: Setting) -> Contest:
        library, rate = setting.library(), 22050
        signal = clip(rate, clips)
        name = f"hocket MFCC ({engine} FFT)"
        arm, out = ours_arm(library, signal, "librosa-0.11", "mfcc", engine, rate, setting.threads, name)
        checks = [check_definition(library, "librosa-0.11", "mfcc", engine, rate)]
        limits = limit_arms(library, clips * out.shape[2], setting.threads)
        ratios = [Ratio(f"MFCC ({engine} FFT) / FFTW alone", [name], [limits[0].name], "lower", target),
                  Ratio(f"MFCC ({engine} FFT) / FFTW alone, {FRAMES_PER_FFTW_PLAN} frames per plan", [name],
                        [limits[1].name], "lower")]
        return Contest([arm, *limits], ratios, work=clips * SECONDS, work_unit="seconds of audio",
                       config={"preset": "librosa-0.11", "rate_hz": rate, "clips": clips, "engine": engine,
                               "frames": clips * out.shape[2]}, data=described(signal, rate), checks=checks)
    return build


def batch_limit(setting: Setting) -> Contest:
    """16 clips on two threads with our own FFT; FFTW's own engine is reported beside it."""
    contest = against_limit("own", 1.3, clips=16)(setting)
    library, rate = setting.library(), 22050
    name = "hocket MFCC (fftw FFT)"
    arm, _ = ours_arm(library, clip(rate, 16), "librosa-0.11", "mfcc", "fftw", rate, setting.threads, name)
    contest.checks.append(check_definition(library, "librosa-0.11", "mfcc", "fftw", rate))
    contest.arms.append(arm)
    contest.ratios.append(Ratio("MFCC (fftw FFT) / FFTW alone", [name], ["FFTW alone"], "lower"))
    return contest


def scaling(setting: Setting) -> Contest:
    np = peer("numpy")
    library, rate, arms, ratios, outs = setting.library(), 22050, [], [], []
    signal = clip(rate, 16)
    for clips, target in ((16, 1.8), (1, None)):
        names = []
        for threads in (1, 2):
            names.append(f"{clips} clip{'s' if clips > 1 else ''}, {threads} thread{'s' if threads > 1 else ''}")
            arm, out = ours_arm(library, signal[:clips], "librosa-0.11", "mfcc", "own", rate, threads, names[-1])
            arms.append(arm)
            outs.append(out)
        if not np.array_equal(outs[-1], outs[-2]):
            raise CheckFailed("one and two threads give different bits")
        ratios.append(Ratio(f"one thread / two threads, {names[0].split(',')[0]}", [names[0]], [names[1]], "higher", target))
    if library.fftw_version():  # what the machine itself gives a program that never leaves the first-level cache
        alone = []
        for threads in (1, 2):
            limit = library.fftw_limit(2048, outs[0].shape[0] * outs[0].shape[2], 1, threads)
            alone.append(f"FFTW alone, {threads} thread{'s' if threads > 1 else ''}")
            arms.append(Arm(alone[-1], limit.call(), library.fftw_version(), threads=threads))
        ratios.append(Ratio("one thread / two threads, FFTW alone", [alone[0]], [alone[1]], "higher"))
    return Contest(arms, ratios, work=SECONDS, work_unit="seconds of audio per clip",
                   config={"preset": "librosa-0.11", "rate_hz": rate, "engine": "own"}, data=described(signal, rate),
                   checks=[check_definition(library, "librosa-0.11", "mfcc", "own", rate)])


def portable(setting: Setting) -> Contest:
    rate, signal = 22050, clip(22050)
    arms, checks = [], []
    for native in (False, True):
        library = setting.library(native)
        name = "hocket MFCC, -march=native" if native else "hocket MFCC, portable"
        arms.append(ours_arm(library, signal, "librosa-0.11", "mfcc", "own", rate, 1, name)[0])
        checks.append(check_definition(library, "librosa-0.11", "mfcc", "own", rate))
        if native and "march=native" not in library.context()["provenance"]["flags"]:
            raise CheckFailed("the native library was not compiled with -march=native")
    return Contest(arms, [Ratio("speed of the portable build / native build", [arms[1].name], [arms[0].name], "higher", 0.9)],
                   work=SECONDS, work_unit="seconds of audio",
                   config={"preset": "librosa-0.11", "rate_hz": rate, "engine": "own"}, data=described(signal, rate),
                   checks=checks)


# --- against libraries ------------------------------------------------------------------------------------------------

def torch_ready(threads: int):
    """torch in inference mode for the rest of this process, on `threads` threads."""
    torch = peer("torch")
    torch.set_num_threads(threads)
    torch.inference_mode(True).__enter__()
    return torch


def stft_torch(setting: Setting) -> Contest:
    np, torch, library, rate = peer("numpy"), torch_ready(setting.threads), setting.library(), 22050
    signal = clip(rate)
    own, out = ours_arm(library, signal, "librosa-0.11", "stft", "own", rate, setting.threads, "hocket STFT (own FFT)")
    fftw, out_fftw = ours_arm(library, signal, "librosa-0.11", "stft", "fftw", rate, setting.threads,
                              "hocket STFT (fftw FFT)")

    def stft(x, window):
        return torch.stft(x, 2048, 512, window=window, center=True, pad_mode="constant", return_complex=True)

    x, window = torch.from_numpy(signal[0]), torch.hann_window(2048)
    theirs = stft(x, window).numpy()
    reference = stft(x.double(), torch.hann_window(2048, dtype=torch.float64)).numpy()
    checks = [check_2x(f"STFT, {engine} FFT", "torch.stft", torch.__version__, values[0], theirs, reference)
              for engine, values in (("own", out), ("fftw", out_fftw))]
    arms = [own, fftw, Arm("torch.stft", lambda: stft(x, window), torch.__version__, dtype="c64")]
    ratios = [Ratio("torch.stft / hocket STFT (own FFT)", ["torch.stft"], [own.name], "higher", 1.1),
              Ratio("torch.stft / hocket STFT (fftw FFT)", ["torch.stft"], [fftw.name], "higher")]
    return Contest(arms, ratios, work=SECONDS, work_unit="seconds of audio", checks=checks, data=described(signal, rate),
                   libraries={"torch": torch.__version__, "numpy": np.__version__},
                   config={"n_fft": 2048, "hop_length": 512, "window": "hann", "pad_mode": "constant", "rate_hz": rate,
                           "torch": "inference_mode; its window is made outside the timing"})


def mfcc_librosa(setting: Setting) -> Contest:
    np, librosa, library, rate = peer("numpy"), peer("librosa"), setting.library(), 22050
    signal = clip(rate)
    arm, out = ours_arm(library, signal, "librosa-0.11", "mfcc", "own", rate, 1, "hocket MFCC (own FFT)")
    y = signal[0]
    bank = librosa.filters.mel(sr=rate, n_fft=2048)

    def parts(x, mel):
        power = np.abs(librosa.stft(x))**2
        return librosa.feature.mfcc(S=librosa.power_to_db(mel @ power), n_mfcc=20)

    reference = parts(y.astype(np.float64), librosa.filters.mel(sr=rate, n_fft=2048, dtype=np.float64))
    checks = [check_2x("MFCC", "librosa", librosa.__version__, out[0], librosa.feature.mfcc(y=y, sr=rate), reference)]
    peers = [Arm("librosa.feature.mfcc", lambda: librosa.feature.mfcc(y=y, sr=rate), librosa.__version__),
             Arm("librosa, mel bank made before", lambda: parts(y, bank), librosa.__version__)]
    return Contest([arm, *peers], [Ratio("librosa / hocket MFCC", [p.name for p in peers], [arm.name], "higher")],
                   work=SECONDS, work_unit="seconds of audio", checks=checks, data=described(signal, rate),
                   config={"preset": "librosa-0.11", "rate_hz": rate},
                   libraries={"librosa": librosa.__version__, "numpy": np.__version__})


def mfcc_torchaudio(setting: Setting) -> Contest:
    np, torch, torchaudio = peer("numpy"), torch_ready(setting.threads), peer("torchaudio")
    library, rate = setting.library(), 16000
    signal = clip(rate)
    arm, out = ours_arm(library, signal, "torchaudio", "mfcc", "own", rate, 1, "hocket MFCC (own FFT)")
    transform, x = torchaudio.transforms.MFCC(rate), torch.from_numpy(signal[0])
    torch.set_default_dtype(torch.float64)
    reference = torchaudio.transforms.MFCC(rate)(x.double()).numpy()
    torch.set_default_dtype(torch.float32)
    checks = [check_2x("MFCC", "torchaudio", torchaudio.__version__, out[0], transform(x).numpy(), reference)]
    theirs = Arm("torchaudio.transforms.MFCC", lambda: transform(x), torchaudio.__version__)
    return Contest([arm, theirs], [Ratio("torchaudio / hocket MFCC", [theirs.name], [arm.name], "higher")],
                   work=SECONDS, work_unit="seconds of audio", checks=checks, data=described(signal, rate),
                   config={"preset": "torchaudio", "rate_hz": rate, "torch": "inference_mode; the transform exists before"},
                   libraries={"torch": torch.__version__, "torchaudio": torchaudio.__version__, "numpy": np.__version__})


def kaldi_values(torch, kaldi, signal, rate: int):
    """(ours-shaped reference in f64, f32 values, the timed call) of torchaudio.compliance.kaldi with its tables made once."""
    import functools
    x = torch.from_numpy(signal)
    torch.set_default_dtype(torch.float64)
    reference = kaldi.mfcc(x.double(), sample_frequency=rate).numpy().T
    torch.set_default_dtype(torch.float32)
    for table in ("get_mel_banks", "_get_dct_matrix", "_get_lifter_coeffs", "_feature_window_function"):
        setattr(kaldi, table, functools.lru_cache(maxsize=4)(getattr(kaldi, table)))
    call = lambda: kaldi.mfcc(x, sample_frequency=rate)  # noqa: E731
    return reference, call().numpy().T, call


def kaldi_signal(rate: int):
    return clip(rate) * 32768  # Kaldi's recipes read 16-bit integers


def mfcc_kaldi_compliance(setting: Setting) -> Contest:
    np, torch, torchaudio = peer("numpy"), torch_ready(setting.threads), peer("torchaudio")
    kaldi, library, rate = peer("torchaudio.compliance.kaldi"), setting.library(), 16000
    signal = kaldi_signal(rate)
    arm, out = ours_arm(library, signal, "kaldi", "mfcc", "own", rate, 1, "hocket MFCC (own FFT)")
    reference, values, call = kaldi_values(torch, kaldi, signal, rate)
    theirs = Arm("torchaudio.compliance.kaldi.mfcc", call, torchaudio.__version__)
    return Contest([arm, theirs], [Ratio("torchaudio.compliance.kaldi / hocket MFCC", [theirs.name], [arm.name], "higher")],
                   work=SECONDS, work_unit="seconds of audio", data=described(signal, rate),
                   checks=[check_2x("MFCC", "torchaudio.compliance.kaldi", torchaudio.__version__, out[0], values, reference)],
                   config={"preset": "kaldi", "rate_hz": rate, "peer": "its window, mel, cosine and lifter tables are cached"},
                   libraries={"torch": torch.__version__, "torchaudio": torchaudio.__version__, "numpy": np.__version__})


def mfcc_kaldi_native_fbank(setting: Setting) -> Contest:
    np, torch, knf = peer("numpy"), torch_ready(setting.threads), peer("kaldi_native_fbank")
    kaldi, library, rate = peer("torchaudio.compliance.kaldi"), setting.library(), 16000
    version = peer("importlib.metadata").version("kaldi-native-fbank")
    signal = kaldi_signal(rate)
    arm, out = ours_arm(library, signal, "kaldi", "mfcc", "own", rate, 1, "hocket MFCC (own FFT)")
    samples = signal[0].tolist()

    def extractor(frame_length_ms: float):
        options = knf.MfccOptions()
        options.frame_opts.dither, options.frame_opts.samp_freq = 0.0, rate
        options.frame_opts.frame_length_ms = frame_length_ms
        options.use_energy = False
        return knf.OnlineMfcc(options)

    def run(online):
        online.accept_waveform(rate, samples)
        online.input_finished()
        return online

    done = run(extractor(25.0))
    values = np.stack([done.get_frame(i) for i in range(done.num_frames_ready)], axis=1)
    reference = kaldi_values(torch, kaldi, signal, rate)[0]
    checks = [check_2x("MFCC", "kaldi-native-fbank", version, out[0], values, reference)]
    binding = Arm("binding alone", run, version, prepare=lambda: extractor(2000.0 * SECONDS))
    if run(binding.prepare()).num_frames_ready != 0:
        raise CheckFailed("the arm that should compute no frame computes some")
    theirs = Arm("kaldi-native-fbank", run, version, prepare=lambda: extractor(25.0), less=binding.name)
    return Contest([arm, theirs, binding], [Ratio("kaldi-native-fbank / hocket MFCC", [theirs.name], [arm.name], "higher")],
                   work=SECONDS, work_unit="seconds of audio", checks=checks, data=described(signal, rate),
                   config={"preset": "kaldi", "rate_hz": rate, "peer": "extractor made before; the cost of handing samples "
                           "over the Python binding is measured with frames longer than the clip and taken off"},
                   libraries={"kaldi-native-fbank": version, "torch": torch.__version__, "numpy": np.__version__})


CASES = [
    Case("mfcc-limit-own", "MFCC (own FFT), 30 s, librosa preset, one thread / FFTW alone; target <= 1.5",
         against_limit("own", 1.5), needs=("numpy",)),
    Case("mfcc-limit-fftw", "MFCC (FFTW), 30 s, librosa preset, one thread / FFTW alone; target <= 1.35",
         against_limit("fftw", 1.35), needs=("numpy",)),
    Case("mfcc-batch-limit-2t", "16 clips on two threads / FFTW alone on two threads; target <= 1.3", batch_limit, threads=2,
         needs=("numpy",)),
    Case("mfcc-scaling", "16 clips, one thread / two threads; target >= 1.8", scaling, threads=2, needs=("numpy",)),
    Case("mfcc-portable", "speed of the portable build / native build, MFCC; target >= 0.9", portable, needs=("numpy",),
         native=True),
    Case("stft-torch", "torch.stft / our complex STFT, one thread; target >= 1.1", stft_torch, needs=("torch",)),
    Case("mfcc-librosa", "librosa 0.11 MFCC / ours, one thread", mfcc_librosa, needs=("librosa",)),
    Case("mfcc-torchaudio", "torchaudio MFCC (inference mode) / ours, one thread", mfcc_torchaudio, needs=("torchaudio",)),
    Case("mfcc-kaldi-compliance", "torchaudio.compliance.kaldi MFCC / ours, one thread", mfcc_kaldi_compliance,
         needs=("torchaudio",)),
    Case("mfcc-kaldi-native-fbank", "kaldi-native-fbank MFCC / ours, one thread", mfcc_kaldi_native_fbank,
         needs=("kaldi_native_fbank", "torchaudio")),
]

// The umbrella of audio features, PCA, regression and statistics on the CPU, layer by layer. models.hpp adds what
// reads, runs and trains models of text. No vendor file is included from here; add one by choice.
#pragma once

// core: views, errors, options, devices
#include <hocket/core/buffer.hpp>
#include <hocket/core/config.hpp>
#include <hocket/core/device.hpp>
#include <hocket/core/dtype.hpp>
#include <hocket/core/error.hpp>
#include <hocket/core/options.hpp>
#include <hocket/core/parallel.hpp>
#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/core/view.hpp>

// io: files (recordings need libsndfile: include <hocket/io/audio_file.hpp> yourself)
#include <hocket/io/npy.hpp>
#include <hocket/io/tsv.hpp>

// eval: metrics and statistics
#include <hocket/eval/metrics.hpp>
#include <hocket/eval/statistics.hpp>

// audio: samples to cepstra
#include <hocket/audio/delta.hpp>
#include <hocket/audio/fft.hpp>
#include <hocket/audio/istft.hpp>
#include <hocket/audio/mfcc.hpp>
#include <hocket/audio/presets.hpp>
#include <hocket/audio/spectral_statistics.hpp>
#include <hocket/audio/stft.hpp>
#include <hocket/audio/stream.hpp>

// linalg: products, principal components
#include <hocket/linalg/gemm.hpp>
#include <hocket/linalg/incremental_pca.hpp>
#include <hocket/linalg/pca.hpp>

// nn: optimisation, classification
#include <hocket/nn/lbfgs.hpp>
#include <hocket/nn/logistic_regression.hpp>

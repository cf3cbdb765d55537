// The umbrella: every public CPU header, layer by layer. No vendor file is included from here; add one by choice.
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
#include <hocket/io/json.hpp>
#include <hocket/io/npy.hpp>
#include <hocket/io/safetensors.hpp>
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

// text: words to ids (namespace hocket::texts)
#include <hocket/text/batching.hpp>
#include <hocket/text/tokenizer.hpp>

// linalg: products, principal components
#include <hocket/linalg/gemm.hpp>
#include <hocket/linalg/incremental_pca.hpp>
#include <hocket/linalg/pca.hpp>

// nn: tape, layers, losses, optimisers, checkpoints, encoders; optimisation, classification
#include <hocket/nn/checkpoint.hpp>
#include <hocket/nn/encoder.hpp>
#include <hocket/nn/encoder_config.hpp>
#include <hocket/nn/lbfgs.hpp>
#include <hocket/nn/logistic_regression.hpp>
#include <hocket/nn/memory_plan.hpp>
#include <hocket/nn/op.hpp>
#include <hocket/nn/ops/arrange.hpp>
#include <hocket/nn/ops/layers.hpp>
#include <hocket/nn/ops/linear.hpp>
#include <hocket/nn/ops/losses.hpp>
#include <hocket/nn/ops/pointwise.hpp>
#include <hocket/nn/optimizer.hpp>
#include <hocket/nn/parameter.hpp>
#include <hocket/nn/sampler.hpp>
#include <hocket/nn/schedule.hpp>
#include <hocket/nn/tape.hpp>
#include <hocket/nn/tape_compile.hpp>

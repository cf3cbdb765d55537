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

// audio: samples to cepstra
#include <hocket/audio/mfcc.hpp>
#include <hocket/audio/presets.hpp>

// The front end for f32 and f64, compiled once for all programs of a checkout.
#define HOCKET_AUDIO_INSTANCE template
#include <hocket/audio/istft.hpp>
#include <hocket/audio/mfcc.hpp>
#include <hocket/audio/spectral_statistics.hpp>
#include <hocket/audio/stream.hpp>

// expect: (constraint|Real)
#include <hocket/audio/mfcc.hpp>

#if !defined(HOCKET_RIGHT)
using scalar = int;
#else
using scalar = float;
#endif
hocket::audio::mfcc_plan<scalar> plan(hocket::audio::preset("librosa-0.11"), 22050);

// Functions that programs of a checkout take from instances.cpp instead of compiling them again in each unit.

namespace hocket::kernels::dense {

HOCKET_INSTANCE routines<float> best_routines<float>();
HOCKET_INSTANCE routines<double> best_routines<double>();

}  // namespace hocket::kernels::dense

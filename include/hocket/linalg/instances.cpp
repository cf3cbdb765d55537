// Products and PCA for f32 and f64, compiled once for all programs of a checkout.
#define HOCKET_LINALG_INSTANCE template
#include <hocket/linalg/pca.hpp>

// The tape, its operations and what trains with it for f32 and f64, compiled once for all programs of a checkout.
#define HOCKET_NN_INSTANCE template
#include <hocket/nn/checkpoint.hpp>
#include <hocket/nn/encoder.hpp>
#include <hocket/nn/logistic_regression.hpp>
#include <hocket/nn/ops/arrange.hpp>
#include <hocket/nn/ops/layers.hpp>
#include <hocket/nn/ops/linear.hpp>
#include <hocket/nn/ops/losses.hpp>
#include <hocket/nn/ops/low_rank.hpp>
#include <hocket/nn/ops/pointwise.hpp>
#include <hocket/nn/optimizer.hpp>
#include <hocket/nn/sequence_classifier.hpp>
#include <hocket/nn/tape.hpp>

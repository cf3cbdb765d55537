// The umbrella with models: hocket.hpp, weights and text in, and the tape that runs and trains. Apart from hocket.hpp,
// which a program of audio features compiles in half the time. No vendor file is included from here.
#pragma once

#include <hocket/hocket.hpp>

// io: weights
#include <hocket/io/json.hpp>
#include <hocket/io/safetensors.hpp>

// text: words to ids (namespace hocket::texts)
#include <hocket/text/batching.hpp>
#include <hocket/text/tokenizer.hpp>

// nn: tape, layers, losses, optimisers, checkpoints, encoders
#include <hocket/nn/checkpoint.hpp>
#include <hocket/nn/encoder.hpp>
#include <hocket/nn/encoder_config.hpp>
#include <hocket/nn/frozen_bottom.hpp>
#include <hocket/nn/memory_plan.hpp>
#include <hocket/nn/op.hpp>
#include <hocket/nn/ops/arrange.hpp>
#include <hocket/nn/ops/layers.hpp>
#include <hocket/nn/ops/linear.hpp>
#include <hocket/nn/ops/losses.hpp>
#include <hocket/nn/ops/low_rank.hpp>
#include <hocket/nn/ops/pointwise.hpp>
#include <hocket/nn/ops/row_choice.hpp>
#include <hocket/nn/optimizer.hpp>
#include <hocket/nn/parameter.hpp>
#include <hocket/nn/sampler.hpp>
#include <hocket/nn/schedule.hpp>
#include <hocket/nn/sequence_classifier.hpp>
#include <hocket/nn/tape.hpp>
#include <hocket/nn/tape_compile.hpp>

// peft: methods of fine-tuning, adapter folders
#include <hocket/peft/adapter_config.hpp>
#include <hocket/peft/adapter_folder.hpp>
#include <hocket/peft/bitfit.hpp>
#include <hocket/peft/combined.hpp>
#include <hocket/peft/fine_tuning.hpp>
#include <hocket/peft/full.hpp>
#include <hocket/peft/linear_probe.hpp>
#include <hocket/peft/lora.hpp>
#include <hocket/peft/merge.hpp>
#include <hocket/peft/method.hpp>
#include <hocket/peft/mixed.hpp>
#include <hocket/peft/prefix.hpp>

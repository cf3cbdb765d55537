// Adapters for f32 and f64, compiled once for all programs of a checkout.
#define HOCKET_PEFT_INSTANCE template
#include <hocket/peft/adapter_folder.hpp>
#include <hocket/peft/merge.hpp>
#include <hocket/peft/prefix.hpp>

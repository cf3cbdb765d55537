// Adapters for parity.py:
//   main read MODEL ADAPTER TOKENS OUT             logits of a model with an adapter folder
//   main merge MODEL ADAPTER OUT                   the model with its adapter merged, as a file of transformers'
//   main make MODEL ADAPTER TOKENS OUT METHOD...   trains a new adapter for some steps, writes its folder, and its
//   logits
// TOKENS: safetensors with i32 lengths, ids, labels. OUT: safetensors with f32 logits (items, 3). METHOD: lora or
// prefix, then key=value; both may follow one another.
#include <cstdio>
#include <string>
#include <vector>

#include <hocket/io/safetensors.hpp>
#include <hocket/nn/ops/losses.hpp>
#include <hocket/nn/optimizer.hpp>
#include <hocket/peft/adapter_folder.hpp>
#include <hocket/peft/merge.hpp>

using namespace hocket;

namespace {

std::vector<std::uint32_t> numbers(const io::safetensors_file& file, const char* name) {
  const auto stored = file.copy<std::int32_t>(name);
  return {stored.begin(), stored.end()};
}

peft::combined methods_of(int count, char** arguments) {
  peft::combined all;
  for (int i = 0; i < count; ++i) {
    const std::string word = arguments[i];
    if (word == "lora")
      all.methods.push_back(peft::lora{});
    else if (word == "prefix")
      all.methods.push_back(peft::prefix{});
    else if (auto* const method = std::get_if<peft::lora>(&all.methods.back()))
      set_option(method->options, word);
    else
      set_option(std::get<peft::prefix>(all.methods.back()).options, word);
  }
  return all;
}

int run(int count, char** arguments) {
  const std::string verb = arguments[1];
  const nn::model_folder folder = nn::read_model_folder(arguments[2]);
  const io::safetensors_file file(folder.weights);
  const nn::classifier_options options{nn::classifier_pooling::pooler, 3};
  nn::parameter_set<float> weights;
  nn::load_classifier<float>(folder.config, options, file, 1, weights);
  for (auto& p : weights) p.train(false);
  peft::combined method;
  if (verb != "make") {
    method = peft::read_adapters(arguments[3], folder.config, weights);
    if (verb == "merge") {
      peft::write_merged(arguments[4], method, folder.config, weights);
      return 0;
    }
  } else {
    method = methods_of(count - 6, arguments + 6);
    peft::attach(method, folder.config, weights, 5);
  }
  const io::safetensors_file tokens(arguments[4]);
  const auto lengths = numbers(tokens, "lengths"), ids = numbers(tokens, "ids"), labels = numbers(tokens, "labels");
  nn::tape<float> t(cpu{2});
  peft::additions<float> into(t, folder.config, weights);
  method.join(into);
  std::size_t longest = 1;
  for (const std::uint32_t length : lengths) longest = std::max<std::size_t>(longest, length);
  nn::encoder_batch batch(t, folder.config, lengths.size(), ids.size(), longest, into.first_position());
  const auto classes = t.indices("labels", batch.items(), 3);
  const auto logits = nn::sequence_classifier<float>(folder.config, options, weights)
                          .record(t, batch, {.dropout = false}, into.hooks())
                          .logits;
  const auto loss = nn::cross_entropy(t, logits, classes);
  if (verb == "make")
    t.compile(loss, {logits});
  else
    t.compile_forward({logits, loss});
  batch.set(t, ids, lengths);
  t.set(classes, labels);
  if (verb == "make") {
    nn::optimizer_options update_options;
    update_options.rate = 5e-3;
    nn::optimizer<float> update(update_options);
    update.add(weights);
    for (int step = 0; step < 4; ++step) {
      t.forward();
      t.backward();
      update.step();
    }
    peft::write_adapter(arguments[3], method, folder.config, weights);
  }
  t.forward();
  const std::vector<io::tensor_bytes> out{io::named_tensor("logits", t.read(logits))};
  io::write_safetensors(arguments[5], out);
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    return run(count, arguments);
  } catch (const error& problem) {
    std::fprintf(stderr, "%s\n", problem.what());
    return 4;
  }
}

// An encoder of MiniLM's sizes (random weights) from token ids to embeddings on one thread: precisions, a full batch,
// one text, and a long text among short ones beside as many tokens in equal texts.
#include <cmath>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include <hocket/models.hpp>

#include "bench/support/bench.hpp"

namespace {

using namespace hocket;

nn::encoder_config sizes() {
  nn::encoder_config c;
  c.hidden_size = 384;
  c.num_hidden_layers = 6;
  c.num_attention_heads = 12;
  c.intermediate_size = 1536;
  c.vocab_size = 30522;
  c.max_position_embeddings = 512;
  return c;
}

/// One recording and the texts that it replays.
struct replay {
  replay(nn::precision products, std::vector<std::uint32_t> text_lengths)
      : lengths(std::move(text_lengths)),
        tokens(std::accumulate(lengths.begin(), lengths.end(), std::size_t{0})),
        t(cpu{1}, 0, {}, products),
        batch(t, sizes(), lengths.size(), tokens, *std::max_element(lengths.begin(), lengths.end())) {
    nn::make_encoder<float>(sizes(), false, 1, weights);
    for (auto& each : weights) each.train(false);
    const nn::encoder<float> model(sizes(), weights);
    nn::encoder_options how;
    how.dropout = false;
    embedding = model.embed(t, batch, model.record(t, batch, how).last(), nn::encoder_pooling::mean, true);
    t.compile_forward({embedding});
    t.training(false);
    const philox random(3);
    for (std::size_t i = 0; i < tokens; ++i) ids.push_back(static_cast<std::uint32_t>(random.uniform_at(i) * 30000));
  }
  void run() {
    batch.set(t, ids, lengths);
    t.forward();
  }
  std::vector<std::uint32_t> lengths, ids;
  std::size_t tokens;
  nn::parameter_set<float> weights;
  nn::tape<float> t;
  nn::encoder_batch batch;
  nn::value embedding;
};

/// The first text's embedding against the same text alone in f32: bit for bit in f32, else by the promised cosine.
comparison check(const replay& all, nn::precision products) {
  replay alone(nn::precision::native, {all.lengths[0]});
  alone.run();
  const auto a = all.t.read(all.embedding), b = alone.t.read(alone.embedding);
  comparison result;
  double cosine = 0;
  for (std::size_t d = 0; d < a.extent(1); ++d) {
    cosine += static_cast<double>(a(0, d)) * static_cast<double>(b(0, d));
    if (products == nn::precision::native) result.add(std::abs(static_cast<double>(a(0, d) - b(0, d))), 0);
  }
  if (products != nn::precision::native) result.add(1 - cosine, products == nn::precision::bf16 ? 1e-3 : 1e-2);
  return result;
}

void add(nn::precision products, const std::string& shape, const std::vector<std::uint32_t>& lengths) {
  const nn::encoder_config c = sizes();
  const double tokens = std::accumulate(lengths.begin(), lengths.end(), 0.0), d = static_cast<double>(c.hidden_size),
               wide = static_cast<double>(c.intermediate_size), layers = static_cast<double>(c.num_hidden_layers);
  double pairs = 0;
  for (const double each : lengths) pairs += each * each;
  const double flops = layers * (tokens * (8 * d * d + 4 * d * wide) + 4 * pairs * d);
  const double bytes = layers * (4 * d * d + 2 * d * wide) * (products == nn::precision::native ? 4 : 2);
  const std::string type = products == nn::precision::native ? "f32" : std::string(name_of(products));
  bench::subjects().push_back(
      {"encoder", "forward/" + shape, "own", type, flops, bytes, tokens, "tokens", [products, lengths] {
         const auto made = std::make_shared<replay>(products, lengths);
         bench::ready one;
         one.run = [made] { made->run(); };
         one.run();
         one.check = check(*made, products);
         return one;
       }});
}

const bool registered = bench::register_operation([] {
  std::vector<std::uint32_t> one_long(31, 30);
  one_long.insert(one_long.begin() + 17, 256);
  for (const auto products : {nn::precision::native, nn::precision::bf16, nn::precision::int8}) {
    add(products, "32x64", std::vector<std::uint32_t>(32, 64));
    add(products, "1x64", {64});
    add(products, "31x30+256", one_long);
    add(products, "32x37", std::vector<std::uint32_t>(32, 37));  // as many tokens
  }
});

}  // namespace

// Pieces of peft_vs_full: the division of the sentences, the baselines, the settings of methods.
#include <set>

#include <hocket/io/file.hpp>

#include "experiments/peft_vs_full/arms.hpp"
#include "experiments/peft_vs_full/baselines.hpp"
#include "experiments/peft_vs_full/sentiment.hpp"
#include "experiments/program.hpp"

using namespace hocket;
using namespace hocket::experiments;
using namespace hocket::experiments::peft_vs_full;
using program::scratch;

namespace {

/// A set of the same form, with a few hundred sentences.
run_options make_set(const scratch& here) {
  const auto folder = here.path / "vader_sentiment";
  program::fs::create_directories(folder);
  std::string manifest = "path\tclass\tunit\tlicence\tsha256\n";
  for (const auto domain : domains) {
    std::string rows;
    const bool reviews = domain == "amazon" || domain == "nyt";
    for (int i = 0; i < 200; ++i)
      rows += (reviews ? std::to_string(i / 4) + "_" + std::to_string(i % 4) : std::to_string(i)) + "\t" +
              std::to_string((i % 9 - 4) * 0.5) + "\ttext " + std::to_string(i) + "\r\n";
    io::write_file(folder / (std::string(domain) + ".txt"), rows);
    manifest += text(domain, ".txt\t", domain, "\tsentence\tMIT\t0\n");
  }
  io::write_file(folder / "manifest.tsv", manifest);
  io::write_file(folder / "set.tsv", "key\tvalue\nname\tvader_sentiment\nversion\t1\nsha256\t0\nunit\tsentence\n");
  run_options options;
  options.data = here.path;
  return options;
}

}  // namespace

TEST_CASE("sentences are divided by unit, alike for every size and seed", "[experiments][peft]") {
  const scratch here;
  const sentiment_set data = read_sentiment(make_set(here));
  INFO(data.set.use.missing);
  REQUIRE(data.set.present());
  REQUIRE(data.all.size() == 800);
  CHECK(data.units == 500);
  CHECK(data.all[0].label == 0);  // -2.0
  CHECK(data.all[3].label == 0);  // -0.5
  CHECK(data.all[4].label == 1);
  CHECK(data.all[5].label == 2);  // 0.5
  const auto whole = divide(data, {100, ""}, 0), tenth = divide(data, {10, ""}, 0), other = divide(data, {10, ""}, 1);
  std::map<std::uint32_t, std::set<int>> sides;
  int side = 0;
  for (const auto* rows : {&whole.train, &whole.valid, &whole.test}) {
    for (const std::size_t row : *rows) sides[data.all[row].unit].insert(side);
    ++side;
  }
  for (const auto& [unit, seen] : sides) CHECK(seen.size() == 1);
  CHECK(whole.train.size() + whole.valid.size() + whole.test.size() == 800);
  CHECK(whole.test.size() > 100);
  CHECK(whole.test.size() < 220);
  CHECK(tenth.train.size() == (whole.train.size() * 10 + 50) / 100);
  CHECK(tenth.test == whole.test);
  CHECK(tenth.valid == other.valid);
  CHECK(tenth.train != other.train);
  const auto without = divide(data, {100, "nyt"}, 0);
  for (const std::size_t row : without.test) CHECK(domains[data.all[row].domain] == "nyt");
  for (const std::size_t row : without.train) CHECK(domains[data.all[row].domain] != "nyt");
}

TEST_CASE("a damaged set is missing, with the line", "[experiments][peft]") {
  const scratch here;
  const run_options options = make_set(here);
  io::write_file(here.path / "vader_sentiment" / "nyt.txt", "1_1\t0.4\tgood\n1_2\tgood\n");
  CHECK(read_sentiment(options).set.use.missing.find("nyt.txt: line 2") != std::string::npos);
  program::fs::remove(here.path / "vader_sentiment" / "nyt.txt");
  CHECK_FALSE(read_sentiment(options).set.present());
}

TEST_CASE("baselines tell plain texts apart", "[experiments][peft]") {
  const scratch here;
  labelled_texts train;
  for (int i = 0; i < 30; ++i) {
    train.texts.push_back(i % 3 == 0 ? "an awful, sad film" : i % 3 == 1 ? "a film" : "a good film :) happy");
    train.labels.push_back(static_cast<std::uint32_t>(i % 3));
  }
  const std::vector<std::string> test = {"awful and sad", "film", "Happy GOOD", ""};
  const auto words = tfidf_baseline(train, train, test, 3);
  CHECK(words.predicted[0] == 0);
  CHECK(words.predicted[2] == 2);
  CHECK(words.tried.size() == 3);
  CHECK(words.accuracy[0] == 1);
  io::write_file(here.path / "lexicon.txt",
                 "awful\t-2.0\t0.5\t[]\nsad\t-1.5\t0.5\t[]\ngood\t1.9\t0.9\t[]\n:)\t2.0\t1\t[]\n");
  const auto rated = lexicon_baseline(here.path / "lexicon.txt", train, test);
  CHECK(rated.predicted == std::vector<std::uint32_t>{0, 1, 2, 1});
  std::vector<float> x(30 * 2);
  for (std::size_t i = 0; i < 30; ++i) x[2 * i] = static_cast<float>(i % 3), x[2 * i + 1] = static_cast<float>(i % 2);
  const view<const float, 2> rows(x.data(), {30, 2});
  CHECK(embedding_baseline(cpu{}, rows, train.labels, rows, train.labels, rows, 3).predicted == train.labels);
}

TEST_CASE("every arm has settings that its method knows, and as many rates", "[experiments][peft]") {
  std::set<std::string> names;
  for (const auto& a : arms()) {
    INFO(a.name);
    CHECK(names.insert(a.name).second);
    CHECK(a.name.substr(0, a.name.find('/')) == a.method);
    for (const double rate : a.rates) {
      const auto settings = settings_of(a, rate, 10, 4, peft::training_precision::bf16);
      CHECK(settings.training.learning_rate == rate);
      CHECK(settings.training.seed == 4);
      CHECK_FALSE(settings.make().methods.empty());
    }
    CHECK(a.rates[1] == 4 * a.rates[0]);
    CHECK(a.rates[2] == 4 * a.rates[1]);
  }
}

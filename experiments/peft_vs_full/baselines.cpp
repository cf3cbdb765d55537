#include "experiments/peft_vs_full/baselines.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <map>
#include <string_view>
#include <unordered_map>

#include <hocket/io/file.hpp>
#include <hocket/io/lines.hpp>
#include <hocket/nn/lbfgs.hpp>
#include <hocket/nn/logistic_regression.hpp>

namespace hocket::experiments::peft_vs_full {

namespace {

double accuracy(const std::vector<std::uint32_t>& said, const std::vector<std::uint32_t>& truth) {
  std::size_t right = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) right += said[i] == truth[i];
  return static_cast<double>(right) / static_cast<double>(std::max<std::size_t>(1, truth.size()));
}

/// Runs of letters, digits and bytes beyond ASCII, in lower case.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || byte >= 128 || c == '\'')
      words.back() += static_cast<char>(std::tolower(byte));
    else if (!words.back().empty())
      words.emplace_back();
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

/// Rows of a sparse matrix.
struct sparse_rows {
  struct entry {
    std::uint32_t column;
    double value;
  };
  std::vector<std::vector<entry>> rows;
};

class tfidf {
 public:
  explicit tfidf(const std::vector<std::string>& texts) {
    std::map<std::string, std::size_t> documents;  // ordered: columns do not depend on hashing
    for (const auto& text : texts) {
      auto terms = terms_of(text);
      std::sort(terms.begin(), terms.end());
      terms.erase(std::unique(terms.begin(), terms.end()), terms.end());
      for (const auto& term : terms) ++documents[term];
    }
    const double n = static_cast<double>(texts.size());
    for (const auto& [term, count] : documents) {
      if (count < 2) continue;
      columns_.emplace(term, static_cast<std::uint32_t>(idf_.size()));
      idf_.push_back(std::log((1 + n) / (1 + static_cast<double>(count))) + 1);
    }
  }
  std::size_t columns() const { return idf_.size(); }

  sparse_rows operator()(const std::vector<std::string>& texts) const {
    sparse_rows out;
    for (const auto& text : texts) {
      std::map<std::uint32_t, double> counts;
      for (const auto& term : terms_of(text))
        if (const auto found = columns_.find(term); found != columns_.end()) ++counts[found->second];
      double squares = 0;
      for (auto& [column, value] : counts) {
        value = (1 + std::log(value)) * idf_[column];
        squares += value * value;
      }
      out.rows.emplace_back();
      for (const auto& [column, value] : counts) out.rows.back().push_back({column, value / std::sqrt(squares)});
    }
    return out;
  }

 private:
  static std::vector<std::string> terms_of(std::string_view text) {
    std::vector<std::string> terms = words_of(text);
    const std::size_t words = terms.size();
    for (std::size_t i = 0; i + 1 < words; ++i) terms.push_back(terms[i] + " " + terms[i + 1]);
    return terms;
  }
  std::unordered_map<std::string, std::uint32_t> columns_;
  std::vector<double> idf_;
};

/// Class scores of a row: weights (K, D + 1), the intercept last.
void scores_of(const std::vector<sparse_rows::entry>& row, const double* weights, std::size_t columns,
               std::vector<double>& scores) {
  for (std::size_t k = 0; k < scores.size(); ++k) {
    const double* const w = weights + k * (columns + 1);
    scores[k] = w[columns];
    for (const auto& [column, value] : row) scores[k] += w[column] * value;
  }
}

std::vector<double> fit_sparse(const sparse_rows& x, const std::vector<std::uint32_t>& labels, std::size_t columns,
                               std::size_t classes, double l2) {
  std::vector<double> weights(classes * (columns + 1), 0.0), scores(classes);
  const double n = static_cast<double>(labels.size());
  nn::lbfgs_options how;
  how.tolerance = 1e-5;
  how.max_iterations = 200;
  nn::minimise(
      [&](const view<const double, 1>& w, const view<double, 1>& gradient) {
        double loss = 0;
        std::fill_n(gradient.data(), gradient.size(), 0.0);
        for (std::size_t i = 0; i < labels.size(); ++i) {
          scores_of(x.rows[i], w.data(), columns, scores);
          const double most = *std::max_element(scores.begin(), scores.end());
          double sum = 0;
          for (const double s : scores) sum += std::exp(s - most);
          loss += most + std::log(sum) - scores[labels[i]];
          for (std::size_t k = 0; k < classes; ++k) {
            const double p = std::exp(scores[k] - most) / sum - (k == labels[i] ? 1 : 0);
            double* const g = gradient.data() + k * (columns + 1);
            g[columns] += p / n;
            for (const auto& [column, value] : x.rows[i]) g[column] += p * value / n;
          }
        }
        double squares = 0;
        for (std::size_t k = 0; k < classes; ++k)
          for (std::size_t j = 0; j < columns; ++j) {
            const std::size_t at = k * (columns + 1) + j;
            squares += w.data()[at] * w.data()[at];
            gradient.data()[at] += l2 * w.data()[at] / n;
          }
        return (loss + l2 / 2 * squares) / n;
      },
      weights, how);
  return weights;
}

std::vector<std::uint32_t> predict_sparse(const sparse_rows& x, const std::vector<double>& weights, std::size_t columns,
                                          std::size_t classes) {
  std::vector<std::uint32_t> out;
  std::vector<double> scores(classes);
  for (const auto& row : x.rows) {
    scores_of(row, weights.data(), columns, scores);
    out.push_back(static_cast<std::uint32_t>(std::max_element(scores.begin(), scores.end()) - scores.begin()));
  }
  return out;
}

/// Takes in one setting; returns whether it is the best so far.
bool tried(baseline_answer& answer, double setting, double score) {
  const bool better =
      answer.accuracy.empty() || score > *std::max_element(answer.accuracy.begin(), answer.accuracy.end());
  answer.tried.push_back(setting);
  answer.accuracy.push_back(score);
  return better;
}

}  // namespace

baseline_answer tfidf_baseline(const labelled_texts& train, const labelled_texts& valid,
                               const std::vector<std::string>& test, std::size_t classes) {
  const tfidf words(train.texts);
  const sparse_rows x = words(train.texts), v = words(valid.texts), t = words(test);
  baseline_answer answer;
  answer.parameters = classes * (words.columns() + 1);
  for (const double l2 : {0.3, 1.0, 3.0}) {
    const auto weights = fit_sparse(x, train.labels, words.columns(), classes, l2);
    const double score = accuracy(predict_sparse(v, weights, words.columns(), classes), valid.labels);
    if (tried(answer, l2, score)) answer.predicted = predict_sparse(t, weights, words.columns(), classes);
  }
  return answer;
}

baseline_answer lexicon_baseline(const std::filesystem::path& lexicon, const labelled_texts& valid,
                                 const std::vector<std::string>& test) {
  const auto bytes = io::read_file(lexicon, std::uintmax_t{1} << 28);
  std::string_view content(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::unordered_map<std::string, double> valence;
  io::each_line(content, [&](std::string_view line, std::size_t) {
    const std::size_t tab = line.find('\t');
    if (tab == std::string_view::npos) return;
    const std::string_view number = line.substr(tab + 1, line.find('\t', tab + 1) - tab - 1);
    double value = 0;
    const auto read = std::from_chars(number.data(), number.data() + number.size(), value);
    expects(read.ec == std::errc{}, errc::bad_file, lexicon.string(), ": '", line.substr(0, tab), "' has no valence");
    valence.emplace(line.substr(0, tab), value);
  });
  const auto compound = [&](std::string_view text) {
    double sum = 0;
    for (std::size_t at = 0; at < text.size();) {  // emoticons are entries too: words as they stand first
      const std::size_t end = std::min(text.find(' ', at), text.size());
      std::string word(text.substr(at, end - at));
      for (char& c : word) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      at = end + 1;
      if (const auto whole = valence.find(word); whole != valence.end()) {
        sum += whole->second;
        continue;
      }
      for (const auto& part : words_of(word))
        if (const auto found = valence.find(part); found != valence.end()) sum += found->second;
    }
    return sum / std::sqrt(sum * sum + 15);
  };
  const auto classes = [&](const std::vector<std::string>& texts, double threshold) {
    std::vector<std::uint32_t> out;
    for (const auto& text : texts) {
      const double score = compound(text);
      out.push_back(score >= threshold ? 2 : score <= -threshold ? 0 : 1);
    }
    return out;
  };
  baseline_answer answer;
  for (const double threshold : {0.05, 0.2, 0.35}) {
    const double score = accuracy(classes(valid.texts, threshold), valid.labels);
    if (tried(answer, threshold, score)) answer.predicted = classes(test, threshold);
  }
  return answer;
}

baseline_answer embedding_baseline(const cpu& device, const view<const float, 2>& train,
                                   const std::vector<std::uint32_t>& train_labels, const view<const float, 2>& valid,
                                   const std::vector<std::uint32_t>& valid_labels, const view<const float, 2>& test,
                                   std::size_t classes) {
  nn::logistic_options how;
  how.tolerance = 1e-4;
  nn::logistic_problem problem(train, train_labels, classes, how);
  baseline_answer answer;
  answer.parameters = classes * (train.extent(1) + 1);
  for (const double l2 : {1000.0, 100.0, 10.0}) {
    const nn::logistic_model model = problem.fit(device, l2);
    if (tried(answer, l2, accuracy(model.predict(valid), valid_labels))) answer.predicted = model.predict(test);
  }
  return answer;
}

}  // namespace hocket::experiments::peft_vs_full

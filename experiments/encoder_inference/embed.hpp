// The verb `embed --model DIR --text FILE --out OUT.npy [--precision f32|bf16|int8] [--max-length 256]
// [--pooling mean|cls] [--normalize true|false] [--threads N]`: an embedding for each line of a file of the user's own.
//
// A text ends at a line feed, with or without a carriage return before it, or at the file's end; what follows the last
// line feed is a text if it is not empty. An empty line is the empty text: its special tokens alone. A carriage return
// elsewhere is white space to the tokenizer. Bytes that are not UTF-8 count as U+FFFD, as Python reads them with
// errors="replace". The file may be larger than memory would hold of embeddings: rows are written as they are made.
#pragma once

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include <hocket/core/parallel.hpp>
#include <hocket/io/file.hpp>
#include <hocket/io/lines.hpp>
#include <hocket/io/npy.hpp>

#include "experiments/encoder_inference/embedder.hpp"
#include "experiments/support/driver.hpp"
#include "experiments/support/progress.hpp"

namespace hocket::experiments::encoder_inference {

/// The texts of a file: views into `content`.
inline std::vector<std::string_view> texts_of(std::string_view content) {
  std::vector<std::string_view> texts;
  io::each_line(content, [&](std::string_view line, std::size_t) { texts.push_back(line); });
  return texts;
}

/// What `embed` is asked to do.
struct embedding_job {
  std::filesystem::path model, input, output;
  embed_options options;
  int threads = 1;
};

inline int embed(const embedding_job& job) {
  using clock = std::chrono::steady_clock;
  constexpr std::size_t at_once = 8192;  // texts that are batched by length together
  io::require_regular_file(job.input);
  embedder model(job.model, job.options, cpu{job.threads});
  const std::vector<unsigned char> bytes = io::read_file(job.input);
  const auto texts = texts_of({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  const auto& folder = model.folder();
  if (folder.pooling && (*folder.pooling != job.options.pooling || folder.normalize != job.options.normalize))
    std::cerr << "the model was published with pooling=" << nn::name_of(*folder.pooling)
              << " normalize=" << (folder.normalize ? "true" : "false") << "; this run has " << to_text(job.options)
              << "\n";
  const auto begin = clock::now();
  auto last_line = begin;
  const auto seconds_since = [&](clock::time_point then) {
    return std::chrono::duration<double>(clock::now() - then).count();
  };
  io::npy_rows_writer<float> file(job.output, texts.size(), model.width());
  std::vector<float> rows(std::min(at_once, texts.size()) * model.width());
  for (std::size_t at = 0; at < texts.size(); at += at_once) {
    const std::size_t count = std::min(at_once, texts.size() - at);
    const view<float, 2> out(rows.data(), {count, model.width()});
    model(std::span(texts).subspan(at, count), out);
    io::require_finite<float>(out, hocket::text(job.output.string(), ", from row ", at, " on"));
    file.append(out);
    const std::size_t done = at + count;
    if (seconds_since(last_line) < 2 || done == texts.size()) continue;
    const double took = seconds_since(begin);
    std::cerr << "[" << done << "/" << texts.size() << "] texts, ETA "
              << clock_text(took / static_cast<double>(done) * static_cast<double>(texts.size() - done)) << "\n";
    last_line = clock::now();
  }
  file.finish();
  const double took = seconds_since(begin);
  if (texts.empty()) std::cerr << job.input.string() << ": warning: no texts; the array has no rows\n";
  if (model.shortened() > 0)
    std::cerr << model.shortened() << " texts have more than " << job.options.max_length << " tokens and were cut\n";
  std::cerr << to_text(job.options) << " threads=" << job.threads << "; " << model.tokens() << " tokens in " << took
            << " s\n";
  std::cout << job.output.string() << "\t" << texts.size() << " x " << model.width() << "\tfloat32\n";
  return exit_ok;
}

inline verb embed_verb() {
  return {"embed",
          "an embedding for each line of your own file: embed --model DIR --text FILE --out OUT.npy [--precision "
          "f32|bf16|int8] [--max-length 256] [--pooling mean|cls] [--normalize true|false] [--threads N]",
          [](CLI::App& app) -> std::function<int()> {
            struct arguments {
              std::string model, text, out, precision = "f32", max_length, pooling = "mean", normalize = "true",
                                            threads = hocket::text(available_threads());
            };
            const auto given = std::make_shared<arguments>();
            app.add_option("--model", given->model, "folder with config.json, model.safetensors and the tokenizer");
            app.add_option("--text", given->text, "one text a line, UTF-8");
            app.add_option("--out", given->out, ".npy file to write: texts x D, float32");
            app.add_option("--precision", given->precision, "f32, bf16 or int8")->capture_default_str();
            app.add_option("--max-length", given->max_length,
                           "tokens, special ones included [256, or the model's positions where they are fewer]");
            app.add_option("--pooling", given->pooling, "mean or cls")->capture_default_str();
            app.add_option("--normalize", given->normalize, "true: rows have length 1")->capture_default_str();
            app.add_option("--threads", given->threads, "the rows' bits do not depend on it")->capture_default_str();
            return [given]() -> int {
              using hocket::detail::option_from_text;
              embedding_job job;
              expects(!given->model.empty(), errc::bad_option, "embed needs --model: the folder of a model");
              expects(!given->text.empty(), errc::bad_option, "embed needs --text: a file with a text a line");
              expects(!given->out.empty(), errc::bad_option, "embed needs --out: the .npy file to write");
              job.model = given->model;
              job.input = given->text;
              job.output = given->out;
              job.options.precision = option_from_text<embed_precision>("--precision", given->precision);
              job.options.pooling = option_from_text<nn::encoder_pooling>("--pooling", given->pooling);
              job.options.normalize = option_from_text<bool>("--normalize", given->normalize);
              if (!given->max_length.empty())
                job.options.max_length = option_from_text<std::size_t>("--max-length", given->max_length);
              else
                job.options.max_length =
                    std::min(job.options.max_length, nn::read_model_folder(job.model).config.max_position_embeddings);
              job.threads = option_from_text<int>("--threads", given->threads);
              expects(job.threads >= 1 && job.threads <= most_threads, errc::bad_option, "--threads ", job.threads,
                      ": expected 1 to ", most_threads);
              return embed(job);
            };
          }};
}

}  // namespace hocket::experiments::encoder_inference

#include "experiments/peft_vs_full/verbs.hpp"

#include <memory>
#include <thread>

#include <CLI/CLI.hpp>

namespace hocket::experiments::peft_vs_full {

namespace {

int all_threads() { return static_cast<int>(std::max(1U, std::thread::hardware_concurrency())); }

void require(const std::string& value, const char* verb, const char* option, const char* what) {
  expects(!value.empty(), errc::bad_option, verb, " needs ", option, ": ", what);
}

constexpr const char* model_is = "a folder with config.json, model.safetensors and tokenizer.json or vocab.txt";

verb finetune_verb() {
  return {"finetune",
          "train on texts of your own: finetune --model DIR --data TSV --method NAME [-S key=value ...] --out ADAPTER",
          [](CLI::App& app) -> std::function<int()> {
            struct arguments {
              std::string model, data, method, out;
              std::vector<std::string> settings;
              int threads = all_threads();
              bool restart = false;
            };
            const auto given = std::make_shared<arguments>();
            std::string methods, keys;
            for (const auto name : method_names) methods += text(methods.empty() ? "" : ", ", name);
            for (const auto name : {"full", "lora", "prefix"})
              keys += text("Keys of -S for --method ", name, ":\n", run_settings(name).described());
            app.add_option("--model", given->model, model_is);
            app.add_option("--data", given->data, "a row for each text: label, tab, text");
            app.add_option("--method", given->method, "one of " + methods);
            app.add_option("-S,--set", given->settings, "key=value, any number of them");
            app.add_option("--out", given->out, "the folder of the adapter; an unfinished run in it is continued");
            app.add_option("--threads", given->threads, "they do not change the result")->capture_default_str();
            app.add_flag("--restart", given->restart, "begin anew if the folder holds an unfinished run");
            app.footer(keys + "prefix_lora has those of both, linear_probe and bitfit those of full but embeddings.\n");
            return [given]() -> int {
              require(given->model, "finetune", "--model", model_is);
              require(given->data, "finetune", "--data", "a file of rows label, tab, text");
              require(given->out, "finetune", "--out", "the folder that the adapter is written to");
              run_settings settings(given->method);
              for (const auto& assignment : given->settings) settings.set(assignment);
              const cpu device{given->threads};
              require_threads(device);
              return finetune({given->model, given->data, given->out, std::move(settings), device, given->restart});
            };
          }};
}

verb predict_verb() {
  return {"predict", "classes of texts: predict --model DIR --adapter A --text FILE [--logits OUT.npy]",
          [](CLI::App& app) -> std::function<int()> {
            struct arguments {
              std::string model, adapter, text, logits, precision = "f32", max_length;
              int threads = all_threads();
            };
            const auto given = std::make_shared<arguments>();
            app.add_option("--model", given->model, model_is);
            app.add_option(
                "--adapter", given->adapter,
                "what finetune wrote, or an adapter of peft's; without it the model's own classifier is used");
            app.add_option("--text", given->text, "one text a line; an empty line is an empty text");
            app.add_option("--logits", given->logits, "an array to write: texts x classes, float32");
            app.add_option("--precision", given->precision, "f32, bf16 or int8: of products")->capture_default_str();
            app.add_option("--max-length", given->max_length, "tokens at which texts are cut, else as in training");
            app.add_option("--threads", given->threads, "they do not change the result")->capture_default_str();
            return [given]() -> int {
              require(given->model, "predict", "--model", model_is);
              require(given->text, "predict", "--text", "a file of texts, one a line");
              const std::string& asked = given->precision;
              expects(asked == "f32" || asked == "bf16" || asked == "int8", errc::bad_option, "--precision ", asked,
                      ": expected f32, bf16 or int8");
              const std::string kind = asked == "f32" ? "native" : asked;
              using hocket::detail::option_from_text;
              std::optional<std::size_t> max_length;
              if (!given->max_length.empty())
                max_length = option_from_text<std::size_t>("--max-length", given->max_length);
              const cpu device{given->threads};
              require_threads(device);
              return predict({given->model, given->adapter, given->text, given->logits, max_length,
                              option_from_text<nn::precision>("--precision", kind), device});
            };
          }};
}

verb merge_verb() {
  return {"merge", "one file of model and adapter: merge --model DIR --adapter A --out MODEL.safetensors",
          [](CLI::App& app) -> std::function<int()> {
            struct arguments {
              std::string model, adapter, out;
            };
            const auto given = std::make_shared<arguments>();
            app.add_option("--model", given->model, model_is);
            app.add_option("--adapter", given->adapter, "what finetune wrote, or an adapter of peft's");
            app.add_option("--out", given->out, "the file to write, by transformers' names of weights");
            return [given]() -> int {
              require(given->model, "merge", "--model", model_is);
              require(given->adapter, "merge", "--adapter", "the folder of an adapter");
              require(given->out, "merge", "--out", "the file to write");
              return merge(given->model, given->adapter, given->out);
            };
          }};
}

}  // namespace

std::vector<verb> user_verbs() { return {finetune_verb(), predict_verb(), merge_verb()}; }

}  // namespace hocket::experiments::peft_vs_full

// predict and merge: what was trained, used.
#include <iostream>

#include <hocket/io/npy.hpp>
#include <hocket/peft/adapter_folder.hpp>
#include <hocket/peft/fine_tuning.hpp>
#include <hocket/peft/merge.hpp>

#include "experiments/peft_vs_full/base_model.hpp"
#include "experiments/peft_vs_full/texts.hpp"
#include "experiments/peft_vs_full/verbs.hpp"

namespace hocket::experiments::peft_vs_full {

namespace {

/// A classifier as it was trained: the model with its adapters joined, or, without a folder of adapters, a merged file.
struct trained_classifier {
  nn::classifier_options head;
  peft::adapter_notes notes;
  nn::parameter_set<float> weights;
  peft::combined methods;
  std::size_t prefix_rows = 0;
};

void open(const base_model& base, const std::filesystem::path& adapter, trained_classifier& out) {
  if (adapter.empty()) {
    const std::string weight = text(nn::classifier_head, ".weight");
    expects(base.file.contains(weight), errc::bad_option, base.folder.folder.string(),
            ": the model has no classifier of its own; name an adapter with --adapter");
    out.notes = peft::notes_of(base.file);
    if (!base.file.metadata("hocket.pooling")) out.notes.pooling = base.default_pooling();
    out.head = {out.notes.pooling, base.file.info(weight).extents[0]};
  } else {
    const auto found = peft::open_adapters(adapter, base.config());
    out.notes = found[0].notes;
    for (const auto& each : found)
      expects(each.notes.base_sha256.empty() || each.notes.base_sha256 == base.sha256, errc::bad_file,
              each.folder.string(), ": this adapter was trained on another model than ", base.folder.weights.string(),
              " (its sha256 begins ", each.notes.base_sha256.substr(0, 12), ", that of this file ",
              base.sha256.substr(0, 12), ")");
    expects(found[0].labels > 0, errc::bad_file, adapter.string(), ": the adapter has no classifier's head");
    out.head = {out.notes.pooling, found[0].labels};
  }
  nn::load_classifier(base.config(), out.head, base.file, 0, out.weights);
  if (!adapter.empty()) out.methods = peft::read_adapters(adapter, base.config(), out.weights);
  for (auto& each : out.weights) each.train(false);
  for (const auto& each : out.methods.methods)
    if (const auto* const rows = std::get_if<peft::prefix>(&each)) out.prefix_rows += rows->options.rows;
  for (std::size_t k = out.notes.labels.size(); k < out.head.labels; ++k) out.notes.labels.push_back(text("LABEL_", k));
}

}  // namespace

int predict(const predict_job& job) {
  const base_model base(job.model);
  trained_classifier model;
  open(base, job.adapter, model);
  const text_file file = read_texts(job.text);
  std::optional<std::size_t> wanted = job.max_length;
  if (!wanted && model.notes.max_length > 0) wanted = model.notes.max_length;
  const std::size_t max_length = base.max_length(wanted, model.prefix_rows);
  const tokenized tokens = tokenize(base.words, file.texts, max_length);
  if (file.repaired > 0)
    std::cerr << file.source << ": note: " << file.repaired << " texts are not UTF-8; such bytes count as U+FFFD\n";
  if (tokens.cut > 0)
    std::cerr << file.source << ": note: " << tokens.cut << " texts were cut at " << max_length << " tokens\n";
  peft::text_scorer<float> scorer(base.config(), model.head, model.weights, model.methods,
                                  peft::detail::room_for(tokens.ids, 1).second, job.device, job.products);
  const auto logits = scorer(tokens.ids).logits;
  io::require_finite(logits.as_view(), "logits");
  if (!job.logits.empty()) io::write_npy(job.logits, logits.as_view());
  std::string lines;
  for (const std::uint32_t label : peft::likeliest(logits)) lines += model.notes.labels[label] + "\n";
  std::cout << lines;
  return exit_ok;
}

int merge(const std::filesystem::path& model, const std::filesystem::path& adapter, const std::filesystem::path& out) {
  const base_model base(model);
  trained_classifier trained;
  open(base, adapter, trained);
  peft::write_merged(out, trained.methods, base.config(), trained.weights, peft::metadata_of(trained.notes));
  std::cout << out.string() << "\t" << std::filesystem::file_size(out)
            << " bytes\tpooling=" << name_of(trained.notes.pooling) << "\n";
  return exit_ok;
}

}  // namespace hocket::experiments::peft_vs_full

// The user's own files: rows of "label, tab, text", and texts one a line. Lines end in LF or CRLF; bytes that are not
// UTF-8 count as U+FFFD, as everywhere, and are counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <hocket/peft/fine_tuning.hpp>
#include <hocket/text/tokenizer.hpp>

namespace hocket::experiments::peft_vs_full {

struct text_file {
  std::string source;               ///< the path, for messages
  std::string sha256;               ///< of its bytes
  std::vector<std::string> texts;   ///< as they stand there
  std::vector<std::size_t> lines;   ///< of each text, from 1
  std::vector<std::string> labels;  ///< of each text, if the file has labels
  std::size_t repaired = 0;         ///< texts that are not UTF-8
};

/// One text a line; an empty line is an empty text, and the end of the last line begins none.
text_file read_texts(const std::filesystem::path& path);

/// Rows of label, tab, text; the text may be empty. Empty lines are passed over, and so is a first line "label, tab,
/// text". Throws bad_file with file and line for a row that is anything else.
text_file read_labelled_texts(const std::filesystem::path& path);

/// The labels that occur, sorted. Throws bad_file unless there are two or more.
std::vector<std::string> classes_of(const text_file& file);

/// The class of every text; throws bad_file with the line of a label that is not in `classes`, which are those of
/// `training`.
std::vector<std::uint32_t> class_indices(const text_file& file, const std::vector<std::string>& classes,
                                         const std::string& training);

struct tokenized {
  peft::token_lists ids;
  std::size_t cut = 0;  ///< texts that were longer than max_length
};
tokenized tokenize(const texts::tokenizer& words, const std::vector<std::string>& all, std::size_t max_length);

}  // namespace hocket::experiments::peft_vs_full

#include <limits>

#include <hocket/io/safetensors.hpp>
#include <hocket/io/tsv.hpp>

#include "catch.hpp"
#include "io/temporary.hpp"

using namespace hocket;

namespace {

const std::filesystem::path oracles = std::filesystem::path(HOCKET_SOURCE_DIR) / "tests/oracles/safetensors";

constexpr const char* good_files[] = {"good_all_types.safetensors", "good_no_metadata.safetensors",
                                      "good_empty.safetensors", "good_empty_tensors.safetensors",
                                      "good_names.safetensors"};

/// Element i of an oracle's tensor: i - 2, unsigned i, booleans i odd (tests/oracles/safetensors/make.py).
template <class T>
bool is_element(T value, std::size_t i, io::tensor_type type) {
  const double expected = type == io::tensor_type::boolean ? static_cast<double>(i % 2)
                          : type == io::tensor_type::u8    ? static_cast<double>(i)
                                                           : static_cast<double>(i) - 2;
  if constexpr (std::is_same_v<T, f16> || std::is_same_v<T, bf16>)
    return static_cast<double>(to_f32(value)) == expected;
  else
    return static_cast<double>(value) == expected;
}

template <io::TensorElement T>
void check_tensors(const io::safetensors_file& file, const std::string& name) {
  INFO(name);
  const auto vector = file.as_view<T, 1>(name + ".vector");
  const auto matrix = file.as_view<T, 2>(name + ".matrix", {3, 7});
  const auto scalar = file.copy<T>(name + ".scalar");
  const io::tensor_type type = file.info(name + ".vector").type;
  REQUIRE(vector.extents() == shape<1>{5});
  REQUIRE(scalar.size() == 1);
  CHECK(file.info(name + ".scalar").rank() == 0);
  std::size_t wrong = !is_element(scalar[0], 0, type);
  for (std::size_t i = 0; i < 5; ++i) wrong += !is_element(vector(i), i, type);
  for (std::size_t i = 0; i < 21; ++i) wrong += !is_element(matrix(i / 7, i % 7), i, type);
  CHECK(wrong == 0);
}

std::vector<std::byte> with_header(std::string_view header, std::size_t data) {
  std::vector<std::byte> file(8 + header.size() + data);
  for (std::size_t i = 0; i < 8; ++i) file[i] = static_cast<std::byte>(header.size() >> (8 * i));
  std::transform(header.begin(), header.end(), file.begin() + 8, [](char c) { return static_cast<std::byte>(c); });
  return file;
}

std::string refusal(std::span<const std::byte> file) {
  try {
    io::parse_safetensors(file, "FILE");
  } catch (const error& refused) {
    CHECK(refused.kind() == errc::bad_file);
    CHECK_THAT(refused.what(), Catch::Contains("FILE"));
    return refused.what();
  }
  return "opens";
}

std::string bytes_of_hex(std::string_view digits) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    unsigned value = 0;
    std::from_chars(digits.data() + i, digits.data() + i + 2, value, 16);
    bytes += static_cast<char>(value);
  }
  return bytes;
}

/// Throws errc::bad_file or leaves an index whose every tensor lies inside the file, which is then read.
void try_parsing(const std::vector<unsigned char>& bytes, std::size_t& opened, std::size_t& sum) {
  const std::vector<unsigned char> exact(bytes.begin(), bytes.end());  // so that a sanitizer sees one byte too many
  try {
    const auto index = io::parse_safetensors(std::as_bytes(std::span(exact)), "FILE");
    std::size_t reached = index.data_begin;
    for (const io::tensor_info& tensor : index.tensors) {
      REQUIRE(index.data_begin + tensor.begin == reached);
      for (; reached < index.data_begin + tensor.end; ++reached) sum += exact[reached];
      REQUIRE(index.find(tensor.name) == &tensor);
    }
    REQUIRE(reached == exact.size());
    ++opened;
  } catch (const error& refused) {
    if (refused.kind() != errc::bad_file) throw;
  }
}

void fuzz(std::size_t rounds, std::uint64_t seed) {
  std::vector<std::vector<unsigned char>> files;
  for (const char* name : good_files) files.push_back(io::read_file(oracles / name));
  const io::tsv_table table = io::read_tsv(oracles / "verdicts.tsv");
  for (const auto& row : table.rows) {
    const auto file = with_header(bytes_of_hex(row[3]), std::stoul(row[1]));
    std::vector<unsigned char> bytes(file.size());
    std::transform(file.begin(), file.end(), bytes.begin(), [](std::byte b) { return static_cast<unsigned char>(b); });
    files.push_back(std::move(bytes));
  }
  philox random(seed);
  std::size_t opened = 0, sum = 0;
  for (std::size_t round = 0; round < rounds; ++round) {
    auto bytes = tests::damaged(files[static_cast<std::size_t>(random.next_below(files.size()))], random);
    if (bytes.size() > 8 && random.next_below(2) != 0) {  // a damaged header of the length that is announced
      const std::size_t end = 8 + static_cast<std::size_t>(random.next_below(bytes.size() - 7));
      const auto brace = std::find(bytes.rbegin(), bytes.rend(), static_cast<unsigned char>('}'));
      const std::size_t length = random.next_below(4) != 0 && brace != bytes.rend() && bytes.rend() - brace > 8
                                     ? static_cast<std::size_t>(bytes.rend() - brace) - 8
                                     : end - 8;
      for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<unsigned char>(length >> (8 * i));
    }
    try_parsing(bytes, opened, sum);
  }
  CHECK(opened > rounds / 1000);  // some damage is harmless
  CHECK(opened < rounds / 2);
}

}  // namespace

TEST_CASE("files written by the safetensors library read where they lie", "[io][safetensors]") {
  const io::safetensors_file file(oracles / "good_all_types.safetensors", {true});
  CHECK(file.tensors().size() == 30);
  CHECK(*file.metadata("format") == "pt");
  CHECK(file.metadata("other") == nullptr);
  check_tensors<double>(file, "f64");
  check_tensors<float>(file, "f32");
  check_tensors<f16>(file, "f16");
  check_tensors<bf16>(file, "bf16");
  check_tensors<std::int64_t>(file, "i64");
  check_tensors<std::int32_t>(file, "i32");
  check_tensors<std::int16_t>(file, "i16");
  check_tensors<std::int8_t>(file, "i8");
  check_tensors<std::uint8_t>(file, "u8");
  check_tensors<std::uint8_t>(file, "bool");
  for (const char* name : {"f64.matrix", "f32.matrix", "f16.matrix", "bf16.matrix"}) {
    const auto wide = file.copy_as<double>(name);
    const auto narrow = file.copy_as<float>(name);
    for (std::size_t i = 0; i < 21; ++i) {
      CHECK(wide[i] == static_cast<double>(i) - 2);
      CHECK(narrow[i] == static_cast<float>(i) - 2);
    }
  }
  const auto raw = file.bytes("f32.matrix");
  CHECK(static_cast<const void*>(raw.data()) == file.as_view<float, 2>("f32.matrix").data());  // no copy was made

  const io::safetensors_file names(oracles / "good_names.safetensors");
  CHECK(names.info("a \"quoted\"\\\n\t\x01name/é/日本/😀").extents == std::vector<std::size_t>{1});
  CHECK(names.info("").size() == 2);
  CHECK(names.as_view<std::int16_t, 5>("plain").extents() == shape<5>{2, 2, 2, 2, 2});
  CHECK(*names.metadata("key \"é\"\n") == "value\\\u0001😀");
  const io::safetensors_file empty(oracles / "good_empty_tensors.safetensors");
  CHECK(empty.as_view<float, 3>("a").extents() == shape<3>{4, 0, 3});
  CHECK(empty.copy<float>("b").empty());
  CHECK(empty.as_view<float, 1>("c")(1) == -1.0f);
  CHECK(io::safetensors_file(oracles / "good_empty.safetensors").tensors().empty());
}

TEST_CASE("our writer makes the library's own bytes", "[io][safetensors]") {
  const tests::temporary_folder folder;
  for (const char* name : good_files) {
    INFO(name);
    const io::safetensors_file file(oracles / name);
    std::vector<io::tensor_bytes> tensors;
    for (const io::tensor_info& tensor : file.tensors())
      tensors.insert(tensors.begin(), {tensor.name, tensor.type, tensor.extents, file.bytes(tensor.name)});
    io::write_safetensors(folder / name, tensors, file.metadata());
    CHECK(io::read_file(folder / name) == io::read_file(oracles / name));
  }
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  const std::vector<io::tensor_bytes> one = {io::named_tensor("w", make_view(values, 2, 3))};
  io::write_safetensors(folder / "one.safetensors", one, {{"b", "2"}, {"a", "1"}});
  const io::safetensors_file back(folder / "one.safetensors");
  CHECK(back.as_view<float, 2>("w", {2, 3})(1, 2) == 6.0f);
  CHECK(back.metadata().front().key == "a");
}

TEST_CASE("what cannot be written is refused", "[io][safetensors]") {
  const tests::temporary_folder folder;
  const auto target = folder / "bad.safetensors";
  const std::vector<float> values(6);
  const auto write = [&](std::vector<io::tensor_bytes> tensors) { io::write_safetensors(target, tensors); };
  const auto tensor = [&](std::string name) { return io::named_tensor(std::move(name), make_view(values)); };
  CHECK_THROWS_WITH(write({tensor("w"), tensor("v"), tensor("w")}), Catch::Contains("two tensors are called 'w'"));
  CHECK_THROWS_WITH(write({tensor("__metadata__")}), Catch::Contains("__metadata__"));
  CHECK_THROWS_WITH(write({tensor("\xFF")}), Catch::Contains("not valid UTF-8"));
  auto wrong = tensor("w");
  wrong.extents = {7};
  CHECK_THROWS_WITH(write({wrong}), Catch::Contains("'w'") && Catch::Contains("[7]") && Catch::Contains("24 bytes"));
  const view<const float, 2> padded(values.data(), {2, 2}, {3, 1});
  CHECK_THROWS_WITH(io::named_tensor("w", padded), Catch::Contains("padded"));
  CHECK(!std::filesystem::exists(target));
}

TEST_CASE("headers are judged as the library judges them, or more strictly", "[io][safetensors]") {
  // Stricter on purpose: the format says that a header begins with '{' and that no key stands twice; a tensor spelled
  // as an array and metadata that are null are accidents of the library's parser.
  const std::vector<std::string> stricter = {"space_before", "tensor_is_an_array", "tensor_twice", "metadata_is_null"};
  const io::tsv_table table = io::read_tsv(oracles / "verdicts.tsv");
  REQUIRE(table.rows.size() > 50);
  for (const auto& row : table.rows) {
    INFO(row[0] << ": " << bytes_of_hex(row[3]));
    const std::string said = refusal(with_header(bytes_of_hex(row[3]), std::stoul(row[1])));
    INFO(said);
    const bool strict = std::find(stricter.begin(), stricter.end(), row[0]) != stricter.end();
    CHECK((said == "opens") == (row[2] == "opens" && !strict));
  }
}

TEST_CASE("a refusal names the tensor and both values", "[io][safetensors]") {
  const io::tsv_table table = io::read_tsv(oracles / "verdicts.tsv");
  const auto said = [&](std::string_view name) {
    for (const auto& row : table.rows)
      if (row[0] == name) return refusal(with_header(bytes_of_hex(row[3]), std::stoul(row[1])));
    return std::string("no such case");
  };
  CHECK_THAT(said("too_short"),
             Catch::Contains("'x'") && Catch::Contains("8") && Catch::Contains("7") && Catch::Contains("truncated"));
  CHECK_THAT(said("too_long"), Catch::Contains("1 bytes follow the last tensor 'x'"));
  CHECK_THAT(said("hole"), Catch::Contains("'y'") && Catch::Contains("bytes 2 to 3"));
  CHECK_THAT(said("overlap"), Catch::Contains("'y'") && Catch::Contains("inside tensor 'x' that ends at 4"));
  CHECK_THAT(said("shape_and_bytes"), Catch::Contains("F32 [3] has 12 bytes") && Catch::Contains("span 8"));
  CHECK_THAT(said("unknown_dtype"), Catch::Contains("'x'") && Catch::Contains("'F33'"));
  CHECK_THAT(said("overflow"), Catch::Contains("[4294967296, 4294967296]") && Catch::Contains("does not fit"));
  CHECK_THAT(said("negative_extent"), Catch::Contains("'x': shape[0]") && Catch::Contains("-1"));
  CHECK_THAT(said("backwards"), Catch::Contains("the end 0 comes before the start 2"));
  CHECK_THAT(said("no_dtype"), Catch::Contains("'x'") && Catch::Contains("'dtype' is missing"));
  CHECK_THAT(said("tensor_twice"), Catch::Contains("'x' stands twice"));
  CHECK_THAT(said("depth"), Catch::Contains("inside one another"));
  CHECK_THAT(refusal(std::vector<std::byte>(7)), Catch::Contains("7 bytes"));
  std::vector<std::byte> file = with_header("{}", 0);
  file[0] = std::byte{3};
  CHECK_THAT(refusal(file), Catch::Contains("3 bytes, 2 are left"));
  file[3] = std::byte{6};
  CHECK_THAT(refusal(file), Catch::Contains("at most 100000000"));
  file[7] = std::byte{0xFF};  // a length that wraps around when 8 is added
  CHECK_THAT(refusal(file), Catch::Contains("at most 100000000"));
  std::string deep = "{\"x\":";
  for (int i = 0; i < 1000000; ++i) deep += '[';
  CHECK_THAT(refusal(with_header(deep, 0)), Catch::Contains("inside one another"));
}

TEST_CASE("asking for the wrong tensor, type or shape is an error", "[io][safetensors]") {
  const io::safetensors_file file(oracles / "good_all_types.safetensors");
  CHECK_THROWS_WITH((file.as_view<float, 1>("absent")), Catch::Contains("'absent' is missing"));
  CHECK_THROWS_WITH((file.as_view<float, 1>("f64.vector")), Catch::Contains("F64") && Catch::Contains("F32"));
  CHECK_THROWS_WITH((file.as_view<float, 2>("f32.vector")), Catch::Contains("[5]"));
  CHECK_THROWS_WITH((file.as_view<float, 2>("f32.matrix", {7, 3})),
                    Catch::Contains("[3, 7]") && Catch::Contains("[7, 3]"));
  CHECK_THROWS_WITH(file.copy_as<float>("i64.vector"), Catch::Contains("I64"));
  CHECK_THROWS_WITH(io::safetensors_file("no/such/file"), Catch::Contains("no such file"));
  CHECK_THROWS_WITH(io::safetensors_file(oracles), Catch::Contains("not a regular file"));
  const tests::temporary_folder folder;
  io::write_file(folder / "nothing", "");
  CHECK_THROWS_WITH(io::safetensors_file(folder / "nothing"), Catch::Contains("0 bytes"));
}

TEST_CASE("a tensor at an odd address is copied, not viewed", "[io][safetensors]") {
  const tests::temporary_folder folder;
  const float value = 1.25f;
  auto bytes = with_header("{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 0);
  while (bytes.size() % 4 != 1) {  // spaces at the end of the header
    bytes.push_back(std::byte{' '});
    bytes[0] = static_cast<std::byte>(std::to_integer<unsigned>(bytes[0]) + 1);
  }
  const auto* raw = reinterpret_cast<const std::byte*>(&value);
  bytes.insert(bytes.end(), raw, raw + 4);
  io::write_file(folder / "odd", {std::span<const std::byte>(bytes)});
  const io::safetensors_file file(folder / "odd");
  try {
    file.as_view<float, 1>("x");
    FAIL("viewed");
  } catch (const error& refused) {
    CHECK(refused.kind() == errc::misaligned);
    CHECK_THAT(refused.what(), Catch::Contains("'x'") && Catch::Contains("copy()"));
  }
  CHECK(file.copy<float>("x")[0] == value);
  CHECK(file.copy_as<double>("x")[0] == 1.25);
}

TEST_CASE("weights that are not finite are refused on request", "[io][safetensors]") {
  const tests::temporary_folder folder;
  const auto check = [&](auto element, std::string_view shown) {
    std::vector<decltype(element)> values(7);
    values[5] = element;
    const std::vector<io::tensor_bytes> tensors = {io::named_tensor("layer.w", make_view(values))};
    io::write_safetensors(folder / "weights", tensors);
    CHECK_NOTHROW(io::safetensors_file(folder / "weights"));
    CHECK_THROWS_WITH(io::safetensors_file(folder / "weights", {true}),
                      Catch::Contains("'layer.w': element 5 of 7 is") && Catch::Contains(std::string(shown)));
  };
  check(std::numeric_limits<float>::quiet_NaN(), "nan");
  check(-std::numeric_limits<double>::infinity(), "-inf");
  check(to_f16(std::numeric_limits<float>::quiet_NaN()), "nan");
  check(to_bf16(std::numeric_limits<float>::infinity()), "inf");
}

TEST_CASE("damaged files are refused or read inside their bounds", "[io][safetensors]") { fuzz(20000, 1); }

TEST_CASE("damaged files, at length", "[io][safetensors][.long]") {
  for (std::uint64_t seed = 2; seed < 7; ++seed) fuzz(100000, seed);
}

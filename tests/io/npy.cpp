#include <sys/stat.h>

#include <hocket/io/npy.hpp>

#include "catch.hpp"
#include "error_kind.hpp"
#include "io/temporary.hpp"

using namespace hocket;

namespace {

const std::filesystem::path oracles = std::filesystem::path(HOCKET_SOURCE_DIR) / "tests/oracles/io";

template <class T>
T oracle_value(std::size_t i) {
  const double real = 0.5 * static_cast<double>(i) - 3, imaginary = -0.25 * static_cast<double>(i);
  if constexpr (is_real_scalar<T>) {
    return static_cast<T>(real);
  } else {
    using Part = typename T::value_type;
    return {static_cast<Part>(real), static_cast<Part>(imaginary)};
  }
}

template <class T, std::size_t Rank>
void check_oracle(const char* name, const shape<Rank>& extents) {
  INFO(name);
  const io::npy_array array = io::read_npy(oracles / name);
  const auto values = array.as_view<T, Rank>();
  REQUIRE(values.extents() == extents);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < values.size(); ++i) wrong += !(values.data()[i] == oracle_value<T>(i));
  CHECK(wrong == 0);
}

std::string refusal(const std::filesystem::path& path) {
  try {
    io::read_npy(path);
  } catch (const error& refused) {
    CHECK(refused.kind() == errc::bad_file);
    return refused.what();
  }
  return "accepted";
}

bool contains(const std::string& whole, const char* part) { return whole.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("files written by numpy read back exactly", "[io][npy]") {
  check_oracle<float>("f4_2d.npy", shape<2>{3, 5});
  check_oracle<double>("f8_1d.npy", shape<1>{7});
  check_oracle<double>("f8_3d.npy", shape<3>{2, 3, 4});
  check_oracle<double>("f8_2d_fortran.npy", shape<2>{3, 5});
  check_oracle<float>("f4_3d_fortran.npy", shape<3>{2, 3, 4});
  check_oracle<double>("f8_2d_big_endian.npy", shape<2>{3, 5});
  check_oracle<std::complex<float>>("c8_2d.npy", shape<2>{3, 5});
  check_oracle<std::complex<double>>("c16_2d_big_endian.npy", shape<2>{3, 5});
  check_oracle<float>("f4_2d_version_2.npy", shape<2>{3, 5});
  check_oracle<float>("f4_2d_version_3.npy", shape<2>{3, 5});
  check_oracle<double>("f8_empty.npy", shape<2>{0, 5});
}

TEST_CASE("our writer makes numpy's own bytes", "[io][npy]") {
  const tests::temporary_folder folder;
  for (const char* name : {"f4_2d.npy", "c8_2d.npy", "f8_1d.npy", "f8_3d.npy"}) {
    INFO(name);
    const io::npy_array array = io::read_npy(oracles / name);
    const auto written = folder / name;
    if (array.type() == dtype::f32) io::write_npy(written, array.as_view<float, 2>());
    if (array.type() == dtype::c64) io::write_npy(written, array.as_view<std::complex<float>, 2>());
    if (array.rank() == 1) io::write_npy(written, array.as_view<double, 1>());
    if (array.rank() == 3) io::write_npy(written, array.as_view<double, 3>());
    CHECK(io::read_file(written) == io::read_file(oracles / name));
  }
}

TEST_CASE("padded rows are packed on writing", "[io][npy]") {
  const tests::temporary_folder folder;
  const std::vector<double> storage = {1, 2, -1, 3, 4, -1, 5, 6, -1};
  io::write_npy(folder / "padded.npy", view<const double, 2>(storage.data(), {3, 2}, {3, 1}));
  CHECK(io::read_npy_values<double>(folder / "padded.npy", 6) == std::vector<double>{1, 2, 3, 4, 5, 6});
}

TEST_CASE("what cannot be read is refused with its reason", "[io][npy]") {
  const tests::temporary_folder folder;
  CHECK(contains(refusal(folder / "absent.npy"), "no such file"));
  CHECK(contains(refusal(folder / "."), "not a regular file"));
  io::write_file(folder / "empty.npy", std::string_view{});
  CHECK(contains(refusal(folder / "empty.npy"), "empty"));
  io::write_file(folder / "text.npy", "1 2 3 4 5 6 7 8 9");
  CHECK(contains(refusal(folder / "text.npy"), "not a .npy file"));
  CHECK(contains(refusal(oracles / "i8_refused.npy"), "float32"));
  CHECK(contains(refusal(oracles / "f8_4d_refused.npy"), "three dimensions"));
  std::vector<unsigned char> bytes = io::read_file(oracles / "f4_2d.npy");
  for (std::size_t length = 0; length < bytes.size(); ++length)
    CHECK_THROWS_AS(io::parse_npy(std::span(bytes).first(length), "cut"), error);
  bytes.push_back(0);
  CHECK_THROWS_WITH(io::parse_npy(bytes, "long"), Catch::Contains("follow the array"));
  const io::npy_array array = io::read_npy(oracles / "f4_2d.npy");
  CHECK_THROWS_AS((array.as_view<double, 2>()), error);
  CHECK_THROWS_AS((array.as_view<float, 1>()), error);
}

TEST_CASE("a header that promises more than memory is refused before anything is allocated", "[io][npy]") {
  for (const char* extents :
       {"(18446744073709551615, 2)", "(4294967296, 4294967296, 4294967296)", "(1000000000000,)"}) {
    const std::string literal = text("{'descr': '<f8', 'fortran_order': False, 'shape': ", extents, ", }\n");
    std::string file = {static_cast<char>(0x93), 'N', 'U', 'M', 'P', 'Y', 1, 0};
    file += static_cast<char>(literal.size());
    file += '\0';
    file += literal;
    INFO(extents);
    CHECK_THROWS_AS(io::parse_npy(std::span(reinterpret_cast<const unsigned char*>(file.data()), file.size()), "huge"),
                    error);
  }
}

TEST_CASE("NaN and infinity are refused with their position", "[io][npy]") {
  std::vector<float> values(12, 1.0f);
  const view<const float, 2> matrix(values.data(), {3, 4});
  CHECK_NOTHROW(io::require_finite(matrix, "x"));
  values[6] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH(io::require_finite(matrix, "x"), Catch::Contains("row 1, column 2 is NaN"));
  values[6] = -std::numeric_limits<float>::infinity();
  CHECK_THROWS_WITH(io::require_finite(matrix, "x"), Catch::Contains("infinite"));
}

namespace {

/// Damaged files either parse or are refused by name; the sanitizer build watches every access.
void fuzz_npy(std::size_t rounds, std::uint64_t seed) {
  philox random(seed);
  std::vector<std::vector<unsigned char>> originals;
  for (const char* name :
       {"f4_2d.npy", "f8_3d.npy", "c16_2d_big_endian.npy", "f4_3d_fortran.npy", "f4_2d_version_2.npy"})
    originals.push_back(io::read_file(oracles / name));
  std::size_t refused = 0;
  for (std::size_t round = 0; round < rounds; ++round) {
    const auto bytes = tests::damaged(originals[static_cast<std::size_t>(random.next_below(originals.size()))], random);
    try {
      const io::npy_array array = io::parse_npy(bytes, "fuzz");
      CHECK(array.bytes().size() <= bytes.size());
    } catch (const error& e) {
      ++refused;
      if (e.kind() != errc::bad_file) FAIL(e.what());
    }
  }
  CHECK(refused > rounds / 4);
}

}  // namespace

TEST_CASE("damaged .npy files never crash the parser", "[io][npy][fuzz]") { fuzz_npy(3000, 1); }
TEST_CASE("damaged .npy files never crash the parser, long", "[io][npy][fuzz][.long]") { fuzz_npy(1000000, 2); }

TEST_CASE("what is no file is not replaced by one", "[io][npy]") {
  const tests::temporary_folder folder;
  const std::vector<float> x = {1, 2};
  const view<const float, 2> values(x.data(), {1, 2});
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  std::filesystem::create_directory(folder / "folder");
  std::filesystem::create_symlink("pipe", folder / "link");
  for (const char* name : {"pipe", "folder", "link"}) {
    const auto before = std::filesystem::symlink_status(folder / name).type();
    CHECK(contains(tests::error_of([&] { io::write_npy(folder / name, values); }), "not a regular file"));
    CHECK(std::filesystem::symlink_status(folder / name).type() == before);
  }
  CHECK(std::distance(std::filesystem::directory_iterator(folder / ""), std::filesystem::directory_iterator()) == 3);
}

TEST_CASE("an array written by rows is the array written at once, or no file", "[io][npy]") {
  const std::filesystem::path path = std::filesystem::temp_directory_path() / "hocket-rows.npy";
  const std::vector<float> x = {1, 2, 3, 4, 5, 6};
  io::write_npy(path, view<const float, 2>(x.data(), {3, 2}));
  const auto whole = io::read_file(path);
  std::filesystem::remove(path);
  {
    io::npy_rows_writer<float> file(path, 3, 2);
    file.append(view<const float, 2>(x.data(), {1, 2}));
    file.append(view<const float, 2>(x.data() + 2, {0, 2}));
    file.append(view<const float, 2>(x.data() + 2, {2, 2}));
    CHECK_THROWS_AS(file.append(view<const float, 2>(x.data(), {1, 2})), error);
    CHECK_FALSE(std::filesystem::exists(path));
    file.finish();
  }
  CHECK(io::read_file(path) == whole);
  std::filesystem::remove(path);
  {
    io::npy_rows_writer<float> file(path, 3, 2);
    CHECK_THROWS_AS(file.append(view<const float, 2>(x.data(), {2, 3})), error);
    CHECK_THROWS_AS(file.finish(), error);
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

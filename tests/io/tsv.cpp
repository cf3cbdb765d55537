#include <hocket/io/tsv.hpp>

#include "catch.hpp"
#include "io/temporary.hpp"

using namespace hocket;

TEST_CASE("a table is split at tabs, whatever its line ends", "[io][tsv]") {
  const auto table = io::parse_tsv("\xEF\xBB\xBF# a notice\r\nid\tlabel\tunit\r\na\tmetal\t\r\n\r\nb\t\t7", "t");
  REQUIRE(table.columns == std::vector<std::string>{"id", "label", "unit"});
  REQUIRE(table.rows.size() == 2);
  CHECK(table.rows[0] == std::vector<std::string>{"a", "metal", ""});
  CHECK(table.rows[1] == std::vector<std::string>{"b", "", "7"});
  CHECK(table.column("label") == 1);
  CHECK(table.has_column("unit"));
  CHECK_FALSE(table.has_column("track"));
  CHECK_THROWS_WITH(table.column("track"), Catch::Contains("id, label, unit"));
}

TEST_CASE("a malformed table is refused with its line", "[io][tsv]") {
  CHECK_THROWS_WITH(io::parse_tsv("a\tb\n1\t2\n3\n", "t"), Catch::Contains("line 3 has 1 fields, the header 2"));
  CHECK_THROWS_WITH(io::parse_tsv("", "t"), Catch::Contains("no header"));
  CHECK_THROWS_WITH(io::parse_tsv("# only\n\n", "t"), Catch::Contains("no header"));
  CHECK_THROWS_WITH(io::parse_tsv(std::string_view("a\tb\n1\t\0", 8), "t"), Catch::Contains("zero byte"));
  const tests::temporary_folder folder;
  CHECK_THROWS_WITH(io::read_tsv(folder / "absent.tsv"), Catch::Contains("no such file"));
}

namespace {

void fuzz_tsv(std::size_t rounds, std::uint64_t seed) {
  const std::string_view original = "# notice\nid\tpath\tlabel\na\tx.wav\tdrum\nb\ty.wav\tbass\r\nc\tz.wav\tbell\n";
  philox random(seed);
  std::size_t accepted = 0;
  for (std::size_t round = 0; round < rounds; ++round) {
    const auto bytes = tests::damaged({original.begin(), original.end()}, random);
    try {
      const auto table = io::parse_tsv({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "fuzz");
      ++accepted;
      for (const auto& row : table.rows)
        if (row.size() != table.columns.size()) FAIL("a ragged row was accepted");
    } catch (const error& e) {
      if (e.kind() != errc::bad_file) FAIL(e.what());
    }
  }
  CHECK(accepted > 0);
  CHECK(accepted < rounds);
}

}  // namespace

TEST_CASE("damaged tables never crash the parser", "[io][tsv][fuzz]") { fuzz_tsv(3000, 1); }
TEST_CASE("damaged tables never crash the parser, long", "[io][tsv][fuzz][.long]") { fuzz_tsv(1000000, 2); }

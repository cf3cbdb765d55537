#include <hocket/io/json.hpp>

#include "catch.hpp"
#include "io/temporary.hpp"

using namespace hocket;

namespace {

std::string refusal(std::string_view document, const io::json_limits& limits = {}) {
  try {
    io::parse_json(document, "FILE", limits);
  } catch (const error& refused) {
    CHECK(refused.kind() == errc::bad_file);
    return refused.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("values of every kind are read", "[io][json]") {
  const io::json_file file(
      " {\"a\": [1, -2.5e3, true, false, null, \"x\"], \"b\": {\"c\": {}}, \"\": "
      "\"\\u00e9\\n\\\"\\/\\ud83d\\ude00\"}\r\n",
      "FILE");
  const io::json_ref root = file.root();
  CHECK(root.at("a").size() == 6);
  CHECK(root.at("a").at(0).as_size() == 1);
  CHECK(root.at("a").at(1).as_double() == -2500.0);
  CHECK(root.at("a").at(2).as_bool());
  CHECK_FALSE(root.at("a").at(3).as_bool());
  CHECK(root.at("a").at(4).is_null());
  CHECK(root.at("a").at(5).as_string() == "x");
  CHECK(root.at("b").at("c").size() == 0);
  CHECK(root.at("").as_string() == "é\n\"/😀");
  CHECK(root.value().members()[0].key == "a");
  CHECK(root.value().find("d") == nullptr);
  CHECK(root.size_or("d", 7) == 7);
  CHECK(io::json_file("18446744073709551615", "FILE").root().as_size() == 18446744073709551615u);
  CHECK(io::json_file("1e-12", "FILE").root().as_double() == 1e-12);
}

TEST_CASE("a wrong type or a missing member is named with its place", "[io][json]") {
  const io::json_file file("{\"a\": {\"b\": [0, \"x\"]}, \"n\": null}", "FILE");
  const io::json_ref root = file.root();
  CHECK_THROWS_WITH(root.at("c"), "FILE: 'c' is missing");
  CHECK_THROWS_WITH(root.at("a").at("b").at(1).as_size(), "FILE: a: b[1]: expected a number, found a string");
  CHECK_THROWS_WITH(root.at("a").at("b").at(2), Catch::Contains("has 2 items, item 2"));
  CHECK_THROWS_WITH(root.at("a").as_string(), "FILE: a: expected a string, found an object");
  CHECK_FALSE(root.has("n"));
  for (const char* number : {"-1", "1.0", "1e3", "18446744073709551616"})
    CHECK_THROWS_WITH(io::json_file(number, "FILE").root().as_size(), Catch::Contains(number));
  CHECK_THROWS_WITH(io::json_file("1e999", "FILE").root().as_double(), Catch::Contains("1e999"));
}

TEST_CASE("what is not JSON is refused", "[io][json]") {
  for (const char* bad : {"",
                          " ",
                          "{",
                          "[",
                          "[1",
                          "[1,]",
                          "{\"a\"}",
                          "{\"a\":}",
                          "{\"a\":1,}",
                          "{a:1}",
                          "01",
                          "-",
                          "1.",
                          ".5",
                          "1e",
                          "+1",
                          "tru",
                          "nul",
                          "truefalse",
                          "\"",
                          "\"\\",
                          "\"\\x\"",
                          "\"\\u12\"",
                          "\"\\u12g4\"",
                          "\"\\ud800\"",
                          "\"\\ud800\\u0041\"",
                          "\"\\udc00\"",
                          "\"\t\"",
                          "\"\xC3\"",
                          "\"\xED\xA0\x80\"",
                          "\"\xC0\x80\"",
                          "1 2",
                          "[1]]",
                          "NaN",
                          "Infinity",
                          "'a'",
                          "{\"a\":1,\"b\":2,\"a\":3}",
                          "[1 2]",
                          "/* */ 1",
                          "\"\\u 123\"",
                          "\"\\u+123\""}) {
    INFO(bad);
    CHECK_THAT(refusal(bad), Catch::Contains("FILE: not valid JSON at byte"));
  }
  CHECK_THAT(refusal("[[[[]]]]", {3, 100}), Catch::Contains("more than 3"));
  CHECK(refusal("[[[[]]]]", {4, 100}) == "accepted");
  CHECK_THAT(refusal("[1,2,3]", {3, 3}), Catch::Contains("more than 3 values"));
}

TEST_CASE("a quoted string reads back", "[io][json]") {
  std::string all;
  for (char32_t c = 0; c < 0x300; ++c) io::append_utf8(all, c);
  io::append_utf8(all, 0x10FFFF);
  CHECK(io::json_file(io::json_quoted(all), "FILE").root().as_string() == all);
}

TEST_CASE("damaged JSON never does worse than being refused", "[io][json]") {
  const std::string good =
      "{\"model\":{\"vocab\":{\"[PAD]\":0,\"\\u00e9\":1,\"日本\":2}},\"list\":[1,-2.5e-3,true,null,[[],{}]],\"s\":"
      "\"\\ud83d\\ude00\"}";
  philox random(7);
  std::size_t accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    const auto bytes = tests::damaged({good.begin(), good.end()}, random);
    accepted += refusal({reinterpret_cast<const char*>(bytes.data()), bytes.size()}) == "accepted";
  }
  CHECK(accepted > 0);
  CHECK(accepted < 10000);
}

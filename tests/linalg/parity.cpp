// Every row of PCA's parity table.
#include <string>

#include "catch.hpp"
#include "experiments/support/pca_parity.hpp"

TEST_CASE("PCA gives scikit-learn's numbers", "[pca][parity]") {
  const auto rows = hocket::parity::pca_parity_rows(std::string(HOCKET_SOURCE_DIR) + "/tests/oracles/pca/pca.txt");
  REQUIRE(rows.size() == 14);
  for (const auto& row : rows) {
    INFO(row.what << " " << row.dtype << ": " << row.max_error.value_or(-1) << " of what is allowed, " << row.cases
                  << " cases");
    CHECK(row.ok);
    CHECK(row.cases >= 7);
  }
}

#include "assay/core/output_path.h"

#include <doctest/doctest.h>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "core/scratch.h"

using namespace assay;

namespace {

void check_refused(void (*require)(std::string_view, std::string_view, const std::string&), const std::string& path, const char* why) {
  INFO(path);
  CHECK_THROWS_WITH_AS(require("bench", "--out", path), doctest::Contains("[bench] --out: "), core::ConfigError);
  CHECK_THROWS_WITH_AS(require("bench", "--out", path), doctest::Contains(why), core::ConfigError);
}

}  // namespace

TEST_CASE("where a file is to be written is looked at before the work") {
  const test::Scratch dir;
  core::write_file(core::real_files(), dir / "there", "old");
  core::require_file_place("bench", "--out", dir / "there");  // is replaced
  core::require_file_place("bench", "--out", dir / "new");
  core::require_file_place("bench", "--out", "a name in the working directory");
  check_refused(core::require_file_place, "", "an empty path came; wanted a file");
  check_refused(core::require_file_place, dir / "", "is a directory; wanted a file");
  check_refused(core::require_file_place, dir / "none/new", "does not exist");
  check_refused(core::require_file_place, dir / "there/new", "is no directory");
  CHECK(core::list_directory(dir / "") == std::vector<std::string>{"there"});
}

TEST_CASE("where a directory is to be made is looked at before the work") {
  const test::Scratch dir;
  core::write_file(core::real_files(), dir / "there", "old");
  core::require_directory_place("train", "--out", dir / "");
  core::require_directory_place("train", "--out", dir / "new/below/");
  core::require_directory_place("train", "--out", "runs/of the working directory");
  check_refused(core::require_directory_place, "", "an empty path came; wanted a directory");
  check_refused(core::require_directory_place, dir / "there", "is no directory");
  check_refused(core::require_directory_place, dir / "there/new", "is no directory");
  CHECK(core::list_directory(dir / "") == std::vector<std::string>{"there"});
}

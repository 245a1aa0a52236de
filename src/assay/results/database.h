#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "assay/core/value.h"

struct sqlite3;
struct sqlite3_stmt;

namespace assay::results {

// An SQLite database in memory. It comes from and goes to a file as one image, so that a file is never changed in place. What SQLite
// refuses is a core::Error with its reason.
class Database {
 public:
  Database();                                 // empty
  explicit Database(std::string_view image);  // of a database file; nothing in it is trusted
  std::string image() const;
  void run(const std::string& sql);  // statements without parameters whose rows nobody wants
  sqlite3* handle() const { return handle_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  std::unique_ptr<sqlite3, Close> handle_;
};

class Statement {
 public:
  Statement(const Database& database, std::string_view sql);
  // Parameter n, from 1: null, boolean (0 or 1), integer, number or text.
  void bind(int n, const core::Value& v);
  bool step();  // true: there is a row
  void reset();
  int columns() const;              // of a row
  int parameters() const;           // the largest number among them
  core::Value column(int n) const;  // from 0: null, integer, number or text

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  void require(int code) const;

  sqlite3* database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

}  // namespace assay::results

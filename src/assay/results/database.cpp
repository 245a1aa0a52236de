#include "assay/results/database.h"

#include <sqlite3.h>

#include <cstring>

#include "assay/core/error.h"

namespace assay::results {
namespace {

using core::Value;

[[noreturn]] void fail(const std::string& message) { throw core::Error(core::Exit::internal, "index", "SQLite: " + message); }

sqlite3* open_memory() {
  sqlite3* handle = nullptr;
  if (sqlite3_open_v2(":memory:", &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY, nullptr) != SQLITE_OK) {
    const std::string why = handle != nullptr ? sqlite3_errmsg(handle) : "out of memory";
    sqlite3_close(handle);
    fail(why);
  }
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  return handle;
}

}  // namespace

void Database::Close::operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }

Database::Database() : handle_(open_memory()) {}

Database::Database(std::string_view image) : Database() {
  auto* bytes = static_cast<unsigned char*>(sqlite3_malloc64(image.size()));
  if (bytes == nullptr) fail("out of memory");
  std::memcpy(bytes, image.data(), image.size());
  const auto size = static_cast<sqlite3_int64>(image.size());
  // The bytes are SQLite's from here on, also where it refuses them.
  if (sqlite3_deserialize(handle_.get(), "main", bytes, size, size, SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE) !=
      SQLITE_OK)
    fail(sqlite3_errmsg(handle_.get()));
}

std::string Database::image() const {
  sqlite3_int64 size = 0;
  unsigned char* bytes = sqlite3_serialize(handle_.get(), "main", &size, 0);
  if (bytes == nullptr) fail("out of memory");
  std::string out(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
  sqlite3_free(bytes);
  return out;
}

void Database::run(const std::string& sql) {
  if (sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) fail(sqlite3_errmsg(handle_.get()));
}

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Statement::Statement(const Database& database, std::string_view sql) : database_(database.handle()) {
  sqlite3_stmt* statement = nullptr;
  require(sqlite3_prepare_v2(database_, sql.data(), static_cast<int>(sql.size()), &statement, nullptr));
  statement_.reset(statement);
}

void Statement::require(int code) const {
  if (code != SQLITE_OK) fail(sqlite3_errmsg(database_));
}

void Statement::bind(int n, const Value& v) {
  sqlite3_stmt* s = statement_.get();
  if (v.is_null()) require(sqlite3_bind_null(s, n));
  else if (v.is_bool()) require(sqlite3_bind_int(s, n, v.as_bool() ? 1 : 0));
  else if (v.is_int()) require(sqlite3_bind_int64(s, n, v.as_int()));
  else if (v.is_number()) require(sqlite3_bind_double(s, n, v.as_double()));
  else require(sqlite3_bind_text64(s, n, v.as_string().data(), v.as_string().size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}

bool Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code != SQLITE_ROW && code != SQLITE_DONE) fail(sqlite3_errmsg(database_));
  return code == SQLITE_ROW;
}

void Statement::reset() { require(sqlite3_reset(statement_.get())); }

int Statement::columns() const { return sqlite3_column_count(statement_.get()); }

int Statement::parameters() const { return sqlite3_bind_parameter_count(statement_.get()); }

Value Statement::column(int n) const {
  sqlite3_stmt* s = statement_.get();
  switch (sqlite3_column_type(s, n)) {
    case SQLITE_NULL: return {};
    case SQLITE_INTEGER: return int64_t{sqlite3_column_int64(s, n)};
    case SQLITE_FLOAT: return sqlite3_column_double(s, n);
    default: break;
  }
  const auto* text = static_cast<const char*>(sqlite3_column_blob(s, n));
  return text == nullptr ? Value("") : Value(std::string(text, static_cast<size_t>(sqlite3_column_bytes(s, n))));
}

}  // namespace assay::results

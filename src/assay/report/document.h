#pragma once
#include <string>
#include <variant>
#include <vector>

#include "assay/core/value.h"
#include "assay/report/campaign.h"

namespace assay::report {

// What a report says, before it has a form. HTML, Markdown, LaTeX and JSON are written from this alone, so that they cannot disagree.

struct Column {
  std::string name;
  bool number = false;
};

struct Table {
  std::string id, caption;
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> rows;
  bool for_papers = true;  // else too wide or too long for them
  int words = -1;          // the column that holds verdicts or states, shown as badges
};

// A figure of declarative Vega-Lite specs, and its numbers.
struct Panel {
  std::string id, title, description;  // description: what it shows, for those who cannot see it
  core::Value spec;
};
struct Figure {
  std::string caption;
  std::vector<Panel> panels;  // several: side by side
  std::vector<Table> numbers;
};

// One verdict, as it is quoted.
struct Claim {
  std::string arm, arch, word, sentence, effect, interval, unit;
  std::vector<std::pair<std::string, std::string>> facts;
};
struct Claims {
  std::vector<Claim> all;
};

struct Paragraph {
  std::string text;
};
struct Notice {  // something that the reader must not miss
  std::string text;
};
struct Folded {  // shown when asked for
  std::string summary;
  Table table;
};
struct Code {
  std::string text, label;
  bool folded = false;
};
struct Download {
  std::string file, label, type, content;
};
struct Downloads {
  std::vector<Download> all;
};

using Block = std::variant<Paragraph, Notice, Claims, Figure, Table, Folded, Code, Downloads, Fragment>;

struct Section {
  std::string id, title;
  std::vector<Block> blocks;
};

struct Document {
  std::string kind = "campaign report", command = "report";  // what it is, and the command that makes it
  std::string name, title, identity;                         // identity: a hash of the campaign's files
  std::vector<std::pair<std::string, std::string>> facts;    // under the title
  std::vector<std::pair<std::string, int64_t>> tally;        // verdicts by word
  std::vector<Section> sections;
};

Document document_of(const Campaign& campaign);

// All tables in order, also those beside figures.
std::vector<const Table*> tables_of(const Document& document);
std::vector<const Panel*> panels_of(const Document& document);

}  // namespace assay::report

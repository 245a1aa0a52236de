#include "assay/report/escape.h"
#include "assay/report/forms.h"

namespace assay::report {
namespace {

std::string ampersand_row(const std::vector<std::string>& cells) {
  std::string out = "    ";
  for (size_t i = 0; i < cells.size(); ++i) out += (i == 0 ? "" : " & ") + latex_text(cells[i]);
  return out + " \\\\\n";
}

std::string column_letters(const Table& t) {
  std::string out;
  for (const Column& c : t.columns) out += c.number ? 'r' : 'l';
  return out;
}

std::string table_text(const Table& t) {
  std::vector<std::string> names;
  for (const Column& c : t.columns) names.push_back(c.name);
  std::string out = "\\begin{table}\n  \\centering\n  \\caption{" + latex_text(t.caption) + "}\n  \\label{tab:" + t.id +
                    "}\n  \\begin{tabular}{" + column_letters(t) + "}\n    \\toprule\n" + ampersand_row(names) + "    \\midrule\n";
  for (const auto& row : t.rows) out += ampersand_row(row);
  return out + "    \\bottomrule\n  \\end{tabular}\n\\end{table}\n\n";
}

std::string claims_text(const Claims& claims) {
  std::string out = "\\begin{itemize}\n";
  for (const Claim& c : claims.all)
    out += "  \\item \\textbf{" + latex_text(c.arm) + ": " + latex_text(c.word) + ".} " + latex_text(c.sentence) + "\n";
  return out + "\\end{itemize}\n\n";
}

}  // namespace

std::string latex_form(const Document& d) {
  std::string out = "% Tables of a campaign, for \\input. The preamble needs \\usepackage[T1]{fontenc} and \\usepackage{booktabs}.\n\n";
  for (const Section& s : d.sections)
    for (const Block& b : s.blocks)
      if (const auto* claims = std::get_if<Claims>(&b); claims && !claims->all.empty()) out += claims_text(*claims);
  for (const Table* t : tables_of(d))
    if (t->for_papers) out += table_text(*t);
  return out;
}

}  // namespace assay::report

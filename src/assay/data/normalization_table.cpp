#include <algorithm>
#include <cstring>
#include <vector>

#include "assay/data/sentencepiece_model.h"

namespace assay::data {
namespace {

constexpr size_t kTableLimit = size_t{1} << 20;  // the largest table in use (NFKC with case folding) has a quarter of it
constexpr size_t kRuleLimit = 512;               // bytes that one rule may write; NFKC's longest writes 33
constexpr uint8_t kMatches = 32;                 // the library keeps at most this many prefixes of one place in the text

// A unit of the double array: bits 0-7 label (bit 31 marks a value), bit 8 "a value follows", bits 9-31 the offset of the children.
struct Unit {
  uint32_t bits;
  bool has_value() const { return (bits >> 8 & 1) != 0; }
  uint32_t label() const { return bits & 0x800000FFu; }
  uint32_t value() const { return bits & 0x7FFFFFFFu; }
  uint32_t offset() const { return bits >> 10 << ((bits & 0x200u) >> 6); }
};

// Visits every node that some text can reach and checks that all it leads to is inside the arrays, that no path returns to itself
// and that no path passes more than kMatches values.
class TrieCheck {
 public:
  TrieCheck(std::string_view units, std::string_view strings) : units_(units.size() / 4), strings_(strings), state_(units_.size(), kNew) {
    if (!units_.empty()) std::memcpy(units_.data(), units.data(), units_.size() * 4);
  }

  std::string fault() {
    if (units_.empty()) return "it has no units";
    enter(0);
    while (!path_.empty() && fault_.empty()) step();
    return fault_;
  }

 private:
  static constexpr uint8_t kNew = 255, kOpen = 254;  // else: the most values on a path that begins at this node

  struct Place {
    uint32_t node, children;
    uint32_t next = 0;  // byte to try
    uint8_t most = 0;   // values on the richest path below, so far
  };

  void enter(uint32_t node) {
    const uint32_t children = node ^ units_[node].offset();
    if ((children | 255) >= units_.size()) {
      fault_ = "unit " + std::to_string(node) + " points to unit " + std::to_string(children) + " of " + std::to_string(units_.size());
      return;
    }
    if (node != 0 && units_[node].has_value()) check_value(units_[children].value());
    state_[node] = kOpen;
    path_.push_back({node, children});
  }

  void check_value(uint32_t value) {
    if (value >= strings_.size()) {
      fault_ = "a rule points to byte " + std::to_string(value) + " of " + std::to_string(strings_.size()) + " bytes of text";
    } else if (strings_.substr(value, kRuleLimit + 1).find('\0') == std::string_view::npos) {
      fault_ = "a rule writes more than " + std::to_string(kRuleLimit) + " bytes";
    }
  }

  void step() {
    Place& place = path_.back();
    for (; place.next < 256; ++place.next) {
      const uint32_t child = place.children ^ place.next;
      if (units_[child].label() != place.next) continue;
      if (state_[child] == kOpen) return void(fault_ = "unit " + std::to_string(child) + " can be reached from itself");
      if (state_[child] == kNew) return enter(child);  // comes back to the same byte, then with a count
      place.most = std::max(place.most, state_[child]);
    }
    leave(place);
  }

  void leave(const Place& place) {
    const int values = place.most + (place.node != 0 && units_[place.node].has_value() ? 1 : 0);
    if (values > kMatches) fault_ = "more than " + std::to_string(kMatches) + " rules apply to one place in a text";
    state_[place.node] = static_cast<uint8_t>(values);
    path_.pop_back();
  }

  std::vector<Unit> units_;
  std::string_view strings_;
  std::vector<uint8_t> state_;
  std::vector<Place> path_;
  std::string fault_;
};

}  // namespace

std::string fault_of_normalization_table(std::string_view table) {
  if (table.empty()) return "";
  uint32_t trie_bytes = 0;
  if (table.size() > kTableLimit) return "wanted at most " + std::to_string(kTableLimit) + " bytes, found " + std::to_string(table.size());
  if (table.size() <= sizeof trie_bytes) return "it has " + std::to_string(table.size()) + " bytes";
  std::memcpy(&trie_bytes, table.data(), sizeof trie_bytes);
  table.remove_prefix(sizeof trie_bytes);
  if (trie_bytes >= table.size() || trie_bytes % 4 != 0) {
    return "its trie has " + std::to_string(trie_bytes) + " of " + std::to_string(table.size()) + " bytes";
  }
  const std::string_view strings = table.substr(trie_bytes);
  if (strings.back() != '\0') return "its last rule does not end";
  return TrieCheck(table.substr(0, trie_bytes), strings).fault();
}

uint32_t longest_rule(std::string_view table) {
  if (table.empty()) return 0;
  uint32_t trie_bytes = 0, longest = 1;
  std::memcpy(&trie_bytes, table.data(), sizeof trie_bytes);
  table.remove_prefix(sizeof trie_bytes + trie_bytes);
  while (!table.empty()) {
    const size_t end = std::min(table.find('\0'), table.size() - 1);
    longest = std::max(longest, static_cast<uint32_t>(end));
    table.remove_prefix(end + 1);
  }
  return longest;
}

}  // namespace assay::data

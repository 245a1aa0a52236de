#include "assay/data/overlap.h"

#include <algorithm>
#include <cstring>

#include "assay/core/error.h"
#include "assay/data/token_windows.h"

namespace assay::data {
namespace {

constexpr uint64_t kScanBytes = uint64_t{1} << 20;

struct Document {
  uint64_t begin = 0, end = 0, hash = 0;
};

// Progress over everything that will be read.
class Ticker {
 public:
  Ticker(const OverlapOptions& options, uint64_t total) : options_(options), total_(total) {}
  void operator()(uint64_t tokens) {
    done_ += tokens;
    if (options_.progress) options_.progress(done_, total_);
  }

 private:
  const OverlapOptions& options_;
  uint64_t done_ = 0, total_;
};

std::vector<Document> documents_of(const TokenSource& source, int64_t bos, Ticker& tick) {
  std::vector<Document> found;
  std::vector<uint16_t> tokens;
  Document open;
  const auto close = [&](uint64_t end) {
    open.end = end;
    if (open.end > open.begin) found.push_back(open);
    open = {end + 1, 0, 0};
  };
  for (uint64_t at = 0; at < source.size(); at += tokens.size()) {
    tokens.resize(std::min(kScanBytes, source.size() - at));
    source.read(at, tokens.size(), tokens.data());
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (tokens[i] == bos) close(at + i);
      else open.hash = mix_bits(open.hash * 0x9E3779B97F4A7C15u + tokens[i] + 1);
    }
    tick(tokens.size());
  }
  close(source.size());
  return found;
}

size_t document_at(const std::vector<Document>& documents, uint64_t token) {
  const auto after = std::upper_bound(documents.begin(), documents.end(), token, [](uint64_t t, const Document& d) { return t < d.begin; });
  return static_cast<size_t>(after - documents.begin()) - 1;
}

// How many tokens agree from a[at_a], b[at_b] on, up to `limit`. Blocks grow, so that an early difference costs little.
uint64_t common_after(const TokenSource& a, uint64_t at_a, const TokenSource& b, uint64_t at_b, uint64_t limit) {
  std::vector<uint16_t> left, right;
  uint64_t done = 0;
  for (uint64_t block = 64; done < limit; block = std::min<uint64_t>(block * 2, 65536)) {
    const uint64_t n = std::min(block, limit - done);
    left.resize(n);
    right.resize(n);
    a.read(at_a + done, n, left.data());
    b.read(at_b + done, n, right.data());
    const auto differ = std::mismatch(left.begin(), left.end(), right.begin()).first;
    done += static_cast<uint64_t>(differ - left.begin());
    if (differ != left.end()) break;
  }
  return done;
}

// The same backwards, from a[at_a - 1], b[at_b - 1] on.
uint64_t common_before(const TokenSource& a, uint64_t at_a, const TokenSource& b, uint64_t at_b, uint64_t limit) {
  std::vector<uint16_t> left, right;
  uint64_t done = 0;
  for (uint64_t block = 64; done < limit; block = std::min<uint64_t>(block * 2, 65536)) {
    const uint64_t n = std::min(block, limit - done);
    left.resize(n);
    right.resize(n);
    a.read(at_a - done - n, n, left.data());
    b.read(at_b - done - n, n, right.data());
    const auto differ = std::mismatch(left.rbegin(), left.rend(), right.rbegin()).first;
    done += static_cast<uint64_t>(differ - left.rbegin());
    if (differ != left.rend()) break;
  }
  return done;
}

// The longest stretches seen, none inside of another. More are kept than are wanted, for a longer one may still swallow several.
class Longest {
 public:
  explicit Longest(size_t wanted) : wanted_(wanted) {}

  void add(const SharedText& s) {
    const auto inside = [](const SharedText& a, const SharedText& b) { return a.val >= b.val && a.val + a.length <= b.val + b.length; };
    if (std::any_of(kept_.begin(), kept_.end(), [&](const SharedText& k) { return inside(s, k); })) return;
    std::erase_if(kept_, [&](const SharedText& k) { return inside(k, s); });
    kept_.insert(std::upper_bound(kept_.begin(), kept_.end(), s, before), s);
    if (kept_.size() > 8 * wanted_) kept_.pop_back();
  }

  std::vector<SharedText> take() {
    kept_.resize(std::min(kept_.size(), wanted_));
    return std::move(kept_);
  }

 private:
  static bool before(const SharedText& a, const SharedText& b) { return a.length != b.length ? a.length > b.length : a.val < b.val; }
  size_t wanted_;
  std::vector<SharedText> kept_;
};

// The smaller source: places in it are looked up again and again.
class HeldSource final : public TokenSource {
 public:
  explicit HeldSource(const TokenSource& source) : source_(source) {
    if (source.size() >= UINT32_MAX) {
      throw core::DataError("overlap", "the smaller side has " + std::to_string(source.size()) + " tokens; wanted fewer than 4294967295");
    }
    tokens_.resize(source.size());
    source.read(0, tokens_.size(), tokens_.data());
  }
  const std::vector<uint16_t>& tokens() const { return tokens_; }
  uint64_t size() const override { return tokens_.size(); }
  void read(uint64_t offset, uint64_t n, uint16_t* out) const override { std::memcpy(out, tokens_.data() + offset, n * sizeof(uint16_t)); }
  std::string hash() const override { return source_.hash(); }

 private:
  const TokenSource& source_;
  std::vector<uint16_t> tokens_;
};

class Search {
 public:
  Search(const TokenSource& train, const TokenSource& val, int64_t bos, const OverlapOptions& options)
      : val_is_small_(val.size() <= train.size()),
        held_(val_is_small_ ? val : train),
        train_(val_is_small_ ? train : held_),
        val_(val_is_small_ ? held_ : val),
        windows_(options.ngram, bos),
        options_(options),
        parts_(std::max<uint64_t>(1, (small().size() + options.windows_at_once - 1) / std::max<uint64_t>(1, options.windows_at_once))),
        tick_(options, train.size() + val.size() + parts_ * (train.size() + val.size() + (val_is_small_ ? val.size() : 0))),
        train_documents_(documents_of(train, bos, tick_)),
        val_documents_(documents_of(val, bos, tick_)),
        longest_(options.longest),
        starts_(val.size(), false),
        identical_(val_documents_.size(), false) {}

  Overlap run() {
    find_documents();
    for (uint64_t part = 0; part < parts_; ++part) find_windows(part);
    return result();
  }

 private:
  const TokenSource& small() const { return held_; }
  const TokenSource& large() const { return val_is_small_ ? train_ : val_; }

  void find_documents() {
    std::vector<Document> sorted = train_documents_;
    const auto before = [](const Document& a, const Document& b) { return a.hash != b.hash ? a.hash < b.hash : a.begin < b.begin; };
    std::sort(sorted.begin(), sorted.end(), before);
    for (size_t i = 0; i < val_documents_.size(); ++i) {
      const Document& v = val_documents_[i];
      for (auto t = std::lower_bound(sorted.begin(), sorted.end(), Document{0, 0, v.hash}, before); t != sorted.end() && t->hash == v.hash;
           ++t) {
        const uint64_t size = v.end - v.begin;
        if (t->end - t->begin != size || common_after(train_, t->begin, val_, v.begin, size) != size) continue;
        identical_[i] = true;
        longest_.add({.train = t->begin, .val = v.begin, .length = size});
        break;
      }
    }
  }

  // One share of all hashes at a time: memory stays bounded, and no n-gram is left out.
  void find_windows(uint64_t part) {
    const std::vector<uint16_t>& tokens = held_.tokens();
    const auto mine = [&](uint64_t hash) { return parts_ == 1 || (hash >> 40) % parts_ == part; };
    WindowIndex index(tokens, windows_.length(), std::min<uint64_t>(tokens.size(), options_.windows_at_once));
    const auto tick = [&](uint64_t n) { tick_(n); };
    windows_.for_each(
        small(),
        [&](uint64_t at, uint64_t hash, const uint16_t*) {
          if (mine(hash) && !index.insert(hash, at)) throw core::DataError("overlap", "too many n-grams share their hashes");
        },
        tick);
    run_ = {};
    windows_.for_each(
        large(),
        [&](uint64_t at, uint64_t hash, const uint16_t* window) {
          const uint64_t slot = mine(hash) ? index.find(hash, window) : WindowIndex::kNone;
          if (slot == WindowIndex::kNone) return;
          index.mark(slot);
          if (!val_is_small_) starts_[at] = true;
          follow(at, index.place(slot));
        },
        tick);
    if (!val_is_small_) return;
    windows_.for_each(
        val_,
        [&](uint64_t at, uint64_t hash, const uint16_t* window) {
          const uint64_t slot = mine(hash) ? index.find(hash, window) : WindowIndex::kNone;
          if (slot != WindowIndex::kNone && index.marked(slot)) starts_[at] = true;
        },
        tick);
  }

  // An equal window at these places: the whole stretch around it, unless it is part of the one that was found last.
  void follow(uint64_t in_large, uint64_t in_small) {
    if (in_large >= run_.begin && in_large + windows_.length() <= run_.end) return;
    const uint64_t train = val_is_small_ ? in_large : in_small, val = val_is_small_ ? in_small : in_large;
    const Document &t = train_documents_[document_at(train_documents_, train)], &v = val_documents_[document_at(val_documents_, val)];
    const uint64_t before = common_before(train_, train, val_, val, std::min(train - t.begin, val - v.begin));
    const uint64_t length = before + common_after(train_, train, val_, val, std::min(t.end - train, v.end - val));
    run_ = {in_large - before, in_large - before + length, 0};
    longest_.add({.train = train - before, .val = val - before, .length = length});
  }

  void name(SharedText& s) const {
    s.train_document = document_at(train_documents_, s.train);
    s.val_document = document_at(val_documents_, s.val);
    const Document &t = train_documents_[s.train_document], &v = val_documents_[s.val_document];
    s.train_offset = s.train - t.begin;
    s.val_offset = s.val - v.begin;
    s.document = t.end - t.begin == s.length && v.end - v.begin == s.length;
  }

  uint64_t shared_tokens(const Document& d) const {
    uint64_t shared = 0, covered_to = d.begin;
    for (uint64_t at = d.begin; at < d.end; ++at) {
      if (starts_[at]) covered_to = at + windows_.length();
      shared += at < covered_to ? 1 : 0;
    }
    return shared;
  }

  Overlap result() {
    Overlap out;
    out.train_documents = train_documents_.size();
    out.val_documents = val_documents_.size();
    for (const Document& d : train_documents_) out.train_tokens += d.end - d.begin;
    for (size_t i = 0; i < val_documents_.size(); ++i) {
      const Document& d = val_documents_[i];
      const uint64_t shared = identical_[i] ? d.end - d.begin : shared_tokens(d);
      out.val_tokens += d.end - d.begin;
      out.val_tokens_shared += shared;
      out.val_documents_shared += shared > 0 ? 1 : 0;
      out.val_documents_identical += identical_[i] ? 1 : 0;
    }
    out.longest = longest_.take();
    for (SharedText& s : out.longest) name(s);
    return out;
  }

  bool val_is_small_;
  HeldSource held_;
  const TokenSource &train_, &val_;
  TokenWindows windows_;
  const OverlapOptions& options_;
  uint64_t parts_;
  Ticker tick_;
  std::vector<Document> train_documents_, val_documents_;
  Longest longest_;
  std::vector<bool> starts_;  // of shared n-grams in validation
  std::vector<bool> identical_;
  Document run_;  // in the larger source
};

}  // namespace

Overlap find_overlap(const TokenSource& train, const TokenSource& val, int64_t bos, const OverlapOptions& options) {
  if (options.ngram == 0) throw core::ConfigError("overlap", "ngram: wanted 1 or more, found 0");
  return Search(train, val, bos, options).run();
}

}  // namespace assay::data

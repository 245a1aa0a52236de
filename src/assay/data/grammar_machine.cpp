#include "assay/data/grammar_machine.h"

#include "assay/data/grammar_rules.h"

namespace assay::data::grammar {
namespace {

void only(const View& v) { v.set({1}); }
template <Class c>
void lexical(const View& v) {
  v.lexical(c);
}

struct RuleEntry {
  void (*weigh)(const View&);
  void (*write)(const Step&, size_t alternative);
};

// In the order of `Rule`.
constexpr std::array<RuleEntry, rules> table{{
    {[](const View& v) { v.set({1, 1}); }, write_opening},
    {lexical<Class::time>, write_time},
    {[](const View& v) { v.out.assign(v.machine.lexicon().of(Class::place).size(), 1); }, write_scene},
    {weigh_end, write_end},
    {weigh_sentence, write_sentence},
    {weigh_opener, write_opener},
    {weigh_subject, write_subject},
    {weigh_new_person, write_new_person},
    {weigh_introduction, write_introduction},
    {weigh_trade, write_trade},
    {lexical<Class::place>, write_home},
    {weigh_clause, write_clause},
    {weigh_verb_phrase, write_verb_phrase},
    {weigh_verb, write_verb},
    {[](const View& v) { v.lexical_or_nothing(Class::manner); }, write_manner},
    {lexical<Class::mood>, write_mood},
    {lexical<Class::place>, write_near_place},
    {weigh_person_object, write_person_object},
    {weigh_number, write_animals},
    {weigh_determiner, write_determiner},
    {lexical<Class::animal>, write_animal},
    {weigh_modifier, write_modifier},
    {weigh_thing, write_thing},
    {weigh_thing_quality, write_thing_quality},
    {weigh_thing_noun, write_thing_noun},
    {weigh_count, write_count},
    {lexical<Class::thing>, write_count_noun},
    {weigh_gain, write_gain},
    {weigh_loss, write_loss},
    {only, write_and_now},
    {weigh_addend, write_addend},
    {weigh_operation, write_operation},
    {only, write_result},
    {only, write_comma},
    {only, write_that},
}};

}  // namespace

Machine::Machine(int64_t words, int64_t depth) : lexicon_(static_cast<size_t>(words)), depth_(static_cast<uint8_t>(depth)) {}

State Machine::start() const {
  State state;
  state.push({});  // rule 0: opening
  return state;
}

void Machine::weights(const State& state, Symbol symbol, std::vector<uint16_t>& out) const {
  out.clear();
  table[symbol.rule].weigh({*this, state, symbol, out});
}

void Machine::apply(State& state, Symbol symbol, size_t alternative, Pen& pen) const {
  table[symbol.rule].write({*this, state, symbol, pen}, alternative);
}

bool Machine::ends(Symbol symbol, size_t alternative) { return symbol.rule == end && alternative >= 2; }

}  // namespace assay::data::grammar

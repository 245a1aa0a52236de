#pragma once
#include "assay/audit/finding.h"
#include "assay/audit/subject.h"

namespace assay::audit {

// Each check adds what it finds and says in `note` what it compared. None changes the subject.

// causality.cpp
void check_causality(const Subject& s, CheckResult& r);
void check_causality_of_gradients(const Subject& s, CheckResult& r);

// independence.cpp: a result must not depend on what else is in the batch, on tokens that are not there, on earlier calls.
void check_prefix_consistency(const Subject& s, CheckResult& r);
void check_batch_independence(const Subject& s, CheckResult& r);
void check_noise(const Subject& s, CheckResult& r);
void check_state(const Subject& s, CheckResult& r);

// repetition.cpp
void check_determinism(const Subject& s, CheckResult& r);
void check_resume(const Subject& s, CheckResult& r);

// updates.cpp
void check_dead_parameters(const Subject& s, CheckResult& r);
void check_update(const Subject& s, CheckResult& r);

// unused_options.cpp
void check_options(const Subject& s, CheckResult& r);

// finiteness.cpp
void check_finite(const Subject& s, CheckResult& r);

// gradients.cpp
void check_gradients(const Subject& s, CheckResult& r);

// objective.cpp
void check_loss(const Subject& s, CheckResult& r);
void check_alignment(const Subject& s, CheckResult& r);

// known_sources.cpp: losses on text whose entropy is known.
void check_uniform_tokens(const Subject& s, CheckResult& r);
void check_known_text(const Subject& s, CheckResult& r);

}  // namespace assay::audit

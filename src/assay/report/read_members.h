#pragma once
#include "assay/report/campaign.h"

namespace assay::report {

// Adds what the members' run directories hold. A file that is absent adds nothing; a last line of metrics.jsonl without its end was being
// written and is left out. DataError naming file, line and field where one is malformed.
void read_member_files(Campaign& campaign);

}  // namespace assay::report

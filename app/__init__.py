"""Cadencia: outbound AI call campaigns."""

import zoneinfo

# Calling hours follow the locked tzdata package, never the machine's own rules: they may be years older, and two
# workers on two machines would then disagree about when a night ends. (In 2026 Debian's data had a clock change in
# Havana that the package's no longer had.)
zoneinfo.reset_tzpath(to=[])

/// The page at / (page.html), compiled in.
#pragma once

namespace octavo::serve {

extern const char* const kPage;

/// Its Content-Security-Policy: nothing is loaded from anywhere, and only this server is asked.
inline constexpr const char* kPagePolicy =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace octavo::serve

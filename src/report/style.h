/// The style sheet of report.html (style.css), compiled in.
#pragma once

namespace octavo::report {

extern const char* const kStyle;

}  // namespace octavo::report

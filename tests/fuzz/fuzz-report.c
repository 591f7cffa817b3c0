/* SPDX-License-Identifier: ISC */
/* Whatever a guest writes as its report: parsed, or refused; what is parsed can be written
 * again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "report/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct report report;
    struct report again;
    char text[REPORT_MAX];
    int len;

    if (report_parse((const char *)data, size, &report) < 0)
        return 0;
    len = report_format(&report, text, sizeof(text));
    if (len < 0 || report_parse(text, (size_t)len, &again) < 0
        || memcmp(&report, &again, sizeof(report)) != 0)
        abort();
    return 0;
}

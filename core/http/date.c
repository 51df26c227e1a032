/*
 * date.c - HTTP dates (RFC 9110, 5.6.7): see conditional.h.
 *
 * Days are counted by the civil calendar's own arithmetic (years that begin in March, eras of 400 years), because a GET
 * prints a date and gmtime_r() costs more than the rest of its header.
 */
#include "http/conditional.h"

#include "http/digits.h"
#include "serde/media.h"

static const char month_names[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
static const char day_names[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };

enum { DAYS_PER_ERA = 146097, DAYS_TO_1970 = 719468 /* from 0000-03-01 */, SECONDS_PER_DAY = 86400 };

static int64_t days_of(int64_t year, unsigned month, unsigned day) /* month and day from 1 */
{
    year -= month <= 2;
    int64_t era = year / 400; /* years are positive here */
    unsigned year_of_era = (unsigned)(year - era * 400);
    unsigned day_of_year = (153 * (month + (month > 2 ? -3u : 9u)) + 2) / 5 + day - 1;
    return era * DAYS_PER_ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - DAYS_TO_1970;
}

static void civil_of(int64_t days, unsigned *ret_year, unsigned *ret_month, unsigned *ret_day)
{
    uint64_t z = (uint64_t)(days + DAYS_TO_1970);
    unsigned era = (unsigned)(z / DAYS_PER_ERA), day_of_era = (unsigned)(z % DAYS_PER_ERA);
    unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / (DAYS_PER_ERA - 1)) /
                           365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned shifted = (5 * day_of_year + 2) / 153;
    *ret_day = day_of_year - (153 * shifted + 2) / 5 + 1;
    *ret_month = shifted < 10 ? shifted + 3 : shifted - 9;
    *ret_year = year_of_era + era * 400 + (*ret_month <= 2);
}

static char *put_two(char *to, unsigned number)
{
    to[0] = (char)('0' + number / 10 % 10);
    to[1] = (char)('0' + number % 10);
    return to + 2;
}

void aff_date_print(int64_t time_ms, char out[AFF_DATE_TEXT_LEN + 1])
{
    const int64_t last = INT64_C(253402300799); /* the end of the year 9999 */
    int64_t seconds = time_ms < 0 ? 0 : time_ms / 1000 > last ? last : time_ms / 1000;
    int64_t days = seconds / SECONDS_PER_DAY;
    unsigned of_day = (unsigned)(seconds % SECONDS_PER_DAY), year, month, day;
    civil_of(days, &year, &month, &day);
    char *at = aff_put_text(out, day_names[(days + 4) % 7]);
    at = put_two(aff_put_text(at, ", "), day);
    *at++ = ' ';
    at = aff_put_text(at, month_names[month - 1]);
    *at++ = ' ';
    at = put_two(put_two(at, year / 100), year);
    *at++ = ' ';
    at = put_two(at, of_day / 3600);
    *at++ = ':';
    at = put_two(at, of_day / 60 % 60);
    *at++ = ':';
    at = aff_put_text(put_two(at, of_day % 60), " GMT");
    *at = 0;
}

/* ---- parsing ---- */

struct date {
    unsigned year, month, day, hour, minute, second;
};

/* Exactly `width` digits, of which those in front may be spaces when `padded`. */
static bool take_number(const char **at, unsigned width, bool padded, unsigned *ret_number)
{
    unsigned number = 0;
    for (unsigned i = 0; i < width; i++) {
        char c = (*at)[i];
        if (padded && i == 0 && c == ' ')
            c = '0';
        if (c < '0' || c > '9')
            return false;
        number = number * 10 + (unsigned)(c - '0');
    }
    *at += width;
    *ret_number = number;
    return true;
}

static bool take_text(const char **at, const char *text)
{
    size_t length = strlen(text);
    if (strncmp(*at, text, length) != 0)
        return false;
    *at += length;
    return true;
}

static bool take_month(const char **at, unsigned *ret_month)
{
    for (unsigned i = 0; i < 12; i++)
        if (take_text(at, month_names[i])) {
            *ret_month = i + 1;
            return true;
        }
    return false;
}

static bool take_time(const char **at, struct date *date)
{
    return take_number(at, 2, false, &date->hour) && take_text(at, ":") && take_number(at, 2, false, &date->minute) &&
           take_text(at, ":") && take_number(at, 2, false, &date->second);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", behind the comma. */
static bool parse_fixed(const char *at, struct date *date)
{
    return take_text(&at, " ") && take_number(&at, 2, false, &date->day) && take_text(&at, " ") &&
           take_month(&at, &date->month) && take_text(&at, " ") && take_number(&at, 4, false, &date->year) &&
           take_text(&at, " ") && take_time(&at, date) && take_text(&at, " GMT") && *at == 0;
}

/* "Sunday, 06-Nov-94 08:49:37 GMT", behind the comma; a year more than 50 years ahead is of the past century. */
static bool parse_rfc850(const char *at, int64_t now_ms, struct date *date)
{
    if (!(take_text(&at, " ") && take_number(&at, 2, false, &date->day) && take_text(&at, "-") &&
          take_month(&at, &date->month) && take_text(&at, "-") && take_number(&at, 2, false, &date->year) &&
          take_text(&at, " ") && take_time(&at, date) && take_text(&at, " GMT") && *at == 0))
        return false;
    unsigned year, month, day;
    civil_of(now_ms / 1000 / SECONDS_PER_DAY, &year, &month, &day);
    date->year += year / 100 * 100;
    if (date->year > year + 50)
        date->year -= 100;
    return true;
}

/* "Sun Nov  6 08:49:37 1994", behind the name of the day. */
static bool parse_asctime(const char *at, struct date *date)
{
    return take_text(&at, " ") && take_month(&at, &date->month) && take_text(&at, " ") &&
           take_number(&at, 2, true, &date->day) && take_text(&at, " ") && take_time(&at, date) &&
           take_text(&at, " ") && take_number(&at, 4, false, &date->year) && *at == 0;
}

bool aff_date_parse(aff_bytes text, int64_t now_ms, int64_t *ret_seconds)
{
    char copy[40];
    text = aff_trimmed(text);
    if (text.len >= sizeof copy || memchr(text.data, 0, text.len))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = 0;
    struct date d = { 0 };
    const char *comma = strchr(copy, ',');
    bool parsed = !comma ? text.len > 3 && parse_asctime(copy + 3, &d)
                         : parse_fixed(comma + 1, &d) || parse_rfc850(comma + 1, now_ms, &d);
    if (!parsed || d.day < 1 || d.day > 31 || d.year < 1 || d.hour > 23 || d.minute > 59 || d.second > 60)
        return false;
    *ret_seconds = days_of(d.year, d.month, d.day) * SECONDS_PER_DAY + d.hour * 3600 + d.minute * 60 + d.second;
    return true;
}

/* ".250": milliseconds of as many digits as there are. */
static bool take_fraction(const char **at, int64_t *ret_ms)
{
    unsigned weight = 100;
    *ret_ms = 0;
    if (**at != '.')
        return true;
    for (++*at; **at >= '0' && **at <= '9'; ++*at, weight /= 10)
        *ret_ms += (int64_t)weight * (**at - '0');
    return (*at)[-1] != '.';
}

/* "Z", or an offset from it in minutes. */
static bool take_zone(const char **at, int64_t *ret_minutes)
{
    unsigned hours, minutes;
    bool behind = **at == '-';
    *ret_minutes = 0;
    if (take_text(at, "Z") || take_text(at, "z"))
        return true;
    if (**at != '+' && !behind)
        return false;
    ++*at;
    if (!take_number(at, 2, false, &hours) || !take_text(at, ":") || !take_number(at, 2, false, &minutes) || hours > 23 ||
        minutes > 59)
        return false;
    *ret_minutes = (behind ? -1 : 1) * (int64_t)(hours * 60 + minutes);
    return true;
}

static unsigned days_in(unsigned year, unsigned month)
{
    static const unsigned char days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

bool aff_date_parse_rfc3339(aff_bytes text, int64_t *ret_ms)
{
    char copy[64];
    const char *at = copy;
    struct date d = { 0 };
    int64_t fraction_ms, zone_minutes;
    if (text.len >= sizeof copy || memchr(text.data, 0, text.len))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = 0;
    if (!(take_number(&at, 4, false, &d.year) && take_text(&at, "-") && take_number(&at, 2, false, &d.month) &&
          take_text(&at, "-") && take_number(&at, 2, false, &d.day) && (take_text(&at, "T") || take_text(&at, "t")) &&
          take_time(&at, &d) && take_fraction(&at, &fraction_ms) && take_zone(&at, &zone_minutes) && *at == 0))
        return false;
    if (d.year < 1 || d.month < 1 || d.month > 12 || d.day < 1 || d.day > days_in(d.year, d.month) || d.hour > 23 ||
        d.minute > 59 || d.second > 60)
        return false;
    *ret_ms = (days_of(d.year, d.month, d.day) * SECONDS_PER_DAY + d.hour * 3600 + d.minute * 60 + d.second -
               zone_minutes * 60) * 1000 + fraction_ms;
    return true;
}

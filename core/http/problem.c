/*
 * problem.c - see problem.h.
 */
#include "http/problem.h"

#include "serde/json.h"

#include <stdio.h>

int aff_problem_status(const struct aff_problem *problem)
{
    return problem->status ? problem->status : aff_error_status(problem->code);
}

static bool add_member(struct aff_buf *out, const char *name, aff_bytes text)
{
    return aff_buf_printf(out, ",\"%s\":", name) && aff_json_quote(text, out);
}

bool aff_problem_print(const struct aff_problem *problem, struct aff_buf *out)
{
    const char *type = problem->type ? problem->type : aff_error_type(problem->code);
    const char *title = problem->title ? problem->title : aff_error_title(problem->code);
    char uri[256];
    (void)snprintf(uri, sizeof uri, AFF_PROBLEM_TYPES "%s", type);
    return aff_buf_printf(out, "{\"type\":") && aff_json_quote(aff_str(uri), out) &&
           add_member(out, "title", aff_str(title)) &&
           aff_buf_printf(out, ",\"status\":%d", aff_problem_status(problem)) &&
           (!problem->detail.data || add_member(out, "detail", problem->detail)) &&
           (!problem->instance || add_member(out, "instance", aff_str(problem->instance))) &&
           (!problem->trace_id.data || add_member(out, "trace_id", problem->trace_id)) && aff_buf_add(out, "}\n", 2);
}

static const char *reason(int status)
{
    switch (status) {
    case 400:
        return "Bad Request";
    case 408:
        return "Request Timeout";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 431:
        return "Request Header Fields Too Large";
    case 503:
        return "Service Unavailable";
    default:
        return "Error";
    }
}

bool aff_problem_response(const struct aff_problem *problem, struct aff_buf *out)
{
    struct aff_buf body;
    aff_buf_init(&body);
    const char unavailable[] = "Retry-After: 1\r\nAffinity-Outcome: not-applied\r\n";
    int status = aff_problem_status(problem);
    bool done = aff_problem_print(problem, &body) &&
                aff_buf_printf(out,
                               "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: " AFF_PROBLEM_MEDIA
                               "\r\nContent-Length: %zu\r\n%s\r\n",
                               status, reason(status), body.len, status == 503 ? unavailable : "") &&
                aff_buf_add(out, body.data, body.len);
    aff_buf_fini(&body);
    return done;
}

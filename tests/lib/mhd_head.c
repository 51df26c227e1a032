/* mhd_head.c - see mhd_head.h. */
#include "lib/mhd_head.h"

#include <stdlib.h>

/* The next line, its end overwritten; NULL when no LF follows. */
static char *next_line(char **at, const char *end, size_t *ret_len)
{
    char *line = *at, *lf = memchr(line, '\n', (size_t)(end - line));
    if (!lf)
        return NULL;
    char *stop = lf > line && lf[-1] == '\r' ? lf - 1 : lf;
    for (char *c = stop; c <= lf; c++)
        *c = 0;
    *at = lf + 1;
    *ret_len = (size_t)(stop - line);
    return line;
}

static bool parse_request_line(struct mhd_head *head, char *line, size_t len)
{
    char *end = line + len, *space = memchr(line, ' ', len);
    if (!space || space == line)
        return false;
    *space = 0;
    head->method = line;
    char *target = space + 1;
    while (target < end && *target == ' ')
        target++;
    if (target == end)
        return false;
    char *version = end - 1;
    while (version > target && *version == ' ')
        version--;
    while (version > target && *version != ' ')
        version--;
    if (version == target)
        return false;
    *version++ = 0;
    if (end - version != 8 || strncmp(version, "HTTP/1.", 7) != 0 || version[7] < '0' || version[7] > '9')
        return false;
    head->target = target;
    head->target_len = strlen(target);
    head->version = version;
    return true;
}

static bool add_field(struct mhd_head *head, char *line)
{
    char *colon = strchr(line, ':');
    if (!colon || head->count == MHD_HEAD_FIELDS_MAX)
        return false;
    *colon++ = 0;
    while (*colon == ' ' || *colon == '\t')
        colon++;
    head->names[head->count] = aff_str(line);
    head->values[head->count] = aff_str(colon);
    head->count++;
    return true;
}

static void fold(struct mhd_head *head, const char *line)
{
    unsigned last = head->count - 1;
    while (*line == ' ' || *line == '\t')
        line++;
    aff_bytes name = head->names[last];
    char *copy = malloc(name.len + strlen(line) + 1);
    memcpy(copy, name.data, name.len);
    memcpy(copy + name.len, line, strlen(line) + 1);
    free(head->copies[last]);
    head->copies[last] = copy;
    head->names[last] = aff_str(copy);
}

bool mhd_head_parse(aff_bytes raw, struct mhd_head *ret_head)
{
    struct mhd_head *head = ret_head;
    memset(head, 0, sizeof *head);
    head->buffer = malloc(raw.len + 1);
    memcpy(head->buffer, raw.data, raw.len);
    head->buffer[raw.len] = 0;
    char *at = head->buffer, *end = at + raw.len, *line;
    size_t len;
    do
        if (!(line = next_line(&at, end, &len)))
            return false;
    while (!line[0]);
    if (!parse_request_line(head, line, len))
        return false;
    for (;;) {
        if (!(line = next_line(&at, end, &len)))
            return false;
        if (!line[0])
            break;
        if (head->count && (line[0] == ' ' || line[0] == '\t'))
            fold(head, line);
        else if (!add_field(head, line))
            return false;
    }
    head->end = at;
    return true;
}

void mhd_head_free(struct mhd_head *head)
{
    for (unsigned i = 0; i < head->count; i++)
        free(head->copies[i]);
    free(head->buffer);
}

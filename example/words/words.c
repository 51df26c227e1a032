/*
 * words.c - counts the words of documents, and keeps the result where it was counted.
 *
 *     POST /v1/texts/{id}/count    the document, Content-Type: text/plain, UTF-8
 *     GET  /v1/texts/{id}          {"total": 7, "different": 6, "words": {"the": 2, ...}}
 *
 * The document itself is not kept. Counting it again replaces the result.
 */
#include <affinity.h>
#include <affinity/json.h>
#include <ctype.h>

static const aff_failure no_text = { "not-utf8", 422, "The document must be UTF-8" };
static const aff_failure *const count_fails[] = { &no_text, NULL };
static const char a_count[] =
    "{\"type\": \"object\", \"required\": [\"total\", \"different\", \"words\"], \"properties\": {"
    "\"total\": {\"type\": \"integer\"}, \"different\": {\"type\": \"integer\"}, "
    "\"words\": {\"type\": \"object\", \"additionalProperties\": {\"type\": \"integer\"}}}}";

/* Letters and digits; every byte of a character beyond ASCII; an apostrophe inside. Everything else separates words. */
static int is_word_byte(unsigned char c)
{
    return isalnum(c) || c >= 0x80 || c == '\'';
}

/* Takes the next word off the front of `*text`, in lower case into `word`. Its length; 0 at the end. */
static size_t next_word(aff_bytes *text, char *word)
{
    const unsigned char *at = text->data, *end = at + text->len;
    size_t len = 0;

    while (at < end && (!is_word_byte(*at) || *at == '\''))
        at++;
    while (at < end && is_word_byte(*at))
        word[len++] = (char)tolower(*at++);
    while (len > 0 && word[len - 1] == '\'')
        len--;
    *text = aff_bytes_of(at, (size_t)(end - at));
    return len;
}

/* Counts into `words`; -1 when a word is not UTF-8. */
static json_int_t count_words(aff_bytes text, char *word, json_t *words)
{
    json_int_t total = 0;
    size_t len;

    while ((len = next_word(&text, word)) > 0) {
        json_int_t before = json_integer_value(json_object_getn(words, word, len));

        if (json_object_setn_new(words, word, len, json_integer(before + 1)) != 0)
            return -1;
        total++;
    }
    return total;
}

static int count(aff_cmd *cmd)
{
    aff_bytes text = aff_cmd_body(cmd);
    char *word = aff_cmd_alloc(cmd, text.len + 1);
    json_t *words = json_object(), *result;
    json_int_t total;

    if (!word || !words) {
        json_decref(words);
        return AFF_ENOMEM;
    }
    total = count_words(text, word, words);
    if (total < 0) {
        json_decref(words);
        return aff_cmd_fail(cmd, &no_text, "a word is not UTF-8");
    }
    result = json_pack("{s:I, s:I}", "total", total, "different", (json_int_t)json_object_size(words));
    json_object_set_new(result, "words", words);
    return aff_cmd_put_json(cmd, result);
}

static const aff_command commands[] = {
    { .size = sizeof(aff_command),
      .name = "count",
      .run = count,
      .accepts = "text/plain",
      .doc = "Counts the words of the document in the body and keeps the result.",
      .request = "{\"type\": \"string\"}",
      .reply = a_count,
      .failures = count_fails },
    AFF_COMMAND_END,
};

int main(int argc, char **argv)
{
    const aff_keyspace texts = {
        .size = sizeof(aff_keyspace),
        .name = "texts",
        .commands = commands,
        .rest = AFF_REST_GET | AFF_REST_DELETE,
        .doc = "The words of documents, counted.",
        .value = a_count,
    };
    const aff_keyspace *keyspaces[] = { &texts, NULL };

    return aff_main(argc, argv, keyspaces);
}

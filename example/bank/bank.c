/*
 * bank.c - accounts with a balance: two commands that change it, and refuse what must not be; one that reads it. Beside them
 * transactions, which are found by account, by branch and by date.
 *
 *     POST /v1/accounts/{account}/deposit    {"amount": 5}
 *     POST /v1/accounts/{account}/withdraw   {"amount": 3}
 *     GET  /v1/accounts/{account}/balance
 *
 *     PUT  /v1/transactions/{account}%2F{day}%2F{number}    {"branch": "north", "amount": 5}
 *     GET  /v1/transactions?prefix={account}/
 *     GET  /v1/transactions?index=by_branch&value=north
 *
 * A command runs on the master of its key, one at a time per key, so there is no lock and no lost update. What it stages is
 * in the changelog before its answer leaves. A client that repeats a request under the same Idempotency-Key gets the first
 * answer again: no deposit happens twice.
 */
#include <affinity.h>
#include <affinity/json.h>
#include <stdio.h>
#include <string.h>

enum { MOST = 1000000000 }; /* of one deposit or withdrawal */

static const aff_failure bad_amount = { "bad-amount", 422, "The amount must be a whole number from 1 to 1000000000" };
static const aff_failure no_funds = { "insufficient-funds", 409, "The balance is lower than the amount" };
static const aff_failure no_account = { "no-account", 404, "There is no such account" };
static const aff_failure too_rich = { "balance-too-large", 409, "The balance would be too large" };

/* What /openapi.json tells of the commands: their arguments, what they answer, and why they refuse. */
static const char an_amount[] = "{\"type\": \"object\", \"required\": [\"amount\"], \"properties\": {\"amount\": "
                                "{\"type\": \"integer\", \"minimum\": 1, \"maximum\": 1000000000}}}";
static const char an_account[] = "{\"type\": \"object\", \"required\": [\"balance\"], \"properties\": {\"balance\": "
                                 "{\"type\": \"integer\", \"minimum\": 0}}}";
static const aff_failure *const deposit_fails[] = { &bad_amount, &too_rich, NULL };
static const aff_failure *const withdraw_fails[] = { &bad_amount, &no_funds, &no_account, NULL };
static const aff_failure *const balance_fails[] = { &no_account, NULL };

/* Stages the new balance; without a reply of its own, the answer is what was staged. */
static int set_balance(aff_cmd *cmd, int64_t balance)
{
    return aff_cmd_put_json(cmd, json_pack("{s:I}", "balance", (json_int_t)balance));
}

static int deposit(aff_cmd *cmd)
{
    int64_t amount = aff_cmd_arg_int(cmd, "amount", 0);
    int64_t balance = aff_cmd_int(cmd, "balance", 0); /* the first deposit opens the account */

    if (amount < 1 || amount > MOST)
        return aff_cmd_fail(cmd, &bad_amount, "amount is %lld", (long long)amount);
    if (balance > INT64_MAX - amount)
        return aff_cmd_fail(cmd, &too_rich, "the balance is %lld", (long long)balance);
    return set_balance(cmd, balance + amount);
}

static int withdraw(aff_cmd *cmd)
{
    int64_t amount = aff_cmd_arg_int(cmd, "amount", 0);
    int64_t balance = aff_cmd_int(cmd, "balance", 0);

    if (!aff_cmd_value(cmd))
        return aff_cmd_fail(cmd, &no_account, "deposit something to open it");
    if (amount < 1 || amount > MOST)
        return aff_cmd_fail(cmd, &bad_amount, "amount is %lld", (long long)amount);
    if (amount > balance)
        return aff_cmd_fail(cmd, &no_funds, "balance %lld is below %lld", (long long)balance, (long long)amount);
    return set_balance(cmd, balance - amount);
}

static int balance(aff_read *read)
{
    const json_t *account = aff_read_json(read);

    if (!account)
        return aff_read_fail(read, &no_account, "deposit something to open it");
    return aff_read_reply_json(read, 200, json_incref(json_object_get(account, "balance")));
}

static const aff_command commands[] = {
    { .size = sizeof(aff_command),
      .name = "deposit",
      .run = deposit,
      .doc = "Adds to the balance; the first deposit opens the account.",
      .request = an_amount,
      .reply = an_account,
      .failures = deposit_fails },
    { .size = sizeof(aff_command),
      .name = "withdraw",
      .run = withdraw,
      .doc = "Takes from the balance, if it suffices.",
      .request = an_amount,
      .reply = an_account,
      .failures = withdraw_fails },
    { .size = sizeof(aff_command),
      .name = "balance",
      .read = balance,
      .doc = "The balance.",
      .reply = "{\"type\": \"integer\"}",
      .failures = balance_fails },
    AFF_COMMAND_END,
};

/* ---- transactions ---- */

enum { DAY_LEN = 10, BRANCH_MOST = 100 };

/* "2026-07-14" of the key "ann/2026-07-14/1"; empty when there is no such thing. */
static aff_bytes day_of(aff_bytes key)
{
    const char *text = key.data, *end = text + key.len, *slash = memchr(text, '/', key.len);
    const char *day = slash ? slash + 1 : end;

    if (end - day <= DAY_LEN || day[DAY_LEN] != '/')
        return aff_str("");
    for (int i = 0; i < DAY_LEN; i++)
        if (!(day[i] >= '0' && day[i] <= '9') && day[i] != '-')
            return aff_str("");
    return aff_bytes_of(day, DAY_LEN);
}

/* The index by_branch_day: "north/2026-07-14", from the value and the key. The same for the same ones, whenever it is asked. */
static int tell_branch_and_day(aff_bytes key, const aff_value *value, void *user, aff_index_sink *sink)
{
    char term[BRANCH_MOST + 1 + DAY_LEN + 1];
    aff_bytes day = day_of(key);
    json_error_t error;
    json_t *transaction = json_loadb(value->bytes.data, value->bytes.len, 0, &error);
    const json_t *branch = json_object_get(transaction, "branch");
    int rc = 0;

    (void)user;
    if (!transaction)
        return json_error_code(&error) == json_error_out_of_memory ? AFF_ENOMEM : 0;
    if (day.len > 0 && json_is_string(branch) && json_string_length(branch) <= BRANCH_MOST) {
        (void)snprintf(term, sizeof term, "%s/%.*s", json_string_value(branch), DAY_LEN, (const char *)day.data);
        rc = aff_index_string(sink, aff_str(term));
    }
    json_decref(transaction);
    return rc;
}

static const aff_index indexes[] = {
    { .size = sizeof(aff_index), .name = "by_branch", .pointer = "/branch" },
    { .size = sizeof(aff_index), .name = "by_branch_day", .terms = tell_branch_and_day, .version = 1 },
    { .size = sizeof(aff_index), .name = "when", .event_time = true },
    AFF_INDEX_END,
};

int main(int argc, char **argv)
{
    /* Only commands change an account: there is no PUT and no DELETE. */
    const aff_keyspace accounts = {
        .size = sizeof(aff_keyspace),
        .name = "accounts",
        .commands = commands,
        .rest = AFF_REST_GET,
        .doc = "Accounts with a balance.",
        .value = an_account,
    };
    /* An account's transactions share a partition, in the order of their days: one scan of it finds them. */
    const aff_keyspace transactions = {
        .size = sizeof(aff_keyspace),
        .name = "transactions",
        .rest = AFF_REST_GET | AFF_REST_PUT | AFF_REST_DELETE,
        .doc = "What was paid in and out, such as {\"branch\": \"north\", \"amount\": 5} under ann/2026-07-14/1.",
        .indexes = indexes,
        .route = "up-to \"/\"",
    };
    const aff_keyspace *keyspaces[] = { &accounts, &transactions, NULL };

    return aff_main(argc, argv, keyspaces);
}

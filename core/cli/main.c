/*
 * main.c - the `affinity` binary: finds the subcommand in a table and runs it. One thread.
 */
#include "cli/cli.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int run_help(int argc, char **argv);
static int run_version(int argc, char **argv);

static const struct aff_cli_command commands[] = {
    { "serve", "serve -c FILE [--set a.b=c]... [--ready-file F] [--no-supervisor]", "run a node",
      "  -c, --config FILE   the configuration\n"
      "  --set a.b=c         override a setting; as often as wanted\n"
      "  --ready-file F      write one line of JSON with the addresses and the process ids once it serves\n"
      "  --no-supervisor     serve in this process; without it, it holds the ports and starts another one to serve, again\n"
      "                      when that dies\n"
      "\n"
      "SIGTERM or SIGINT ends it after what is under way is done; a second one hurries.\n",
      aff_cli_serve },
    { "check", "check -c FILE [--set a.b=c]... | check --describe",
      "print the effective settings, or every error in them",
      "  -c, --config FILE   the configuration\n"
      "  --set a.b=c         override a setting; as often as wanted\n"
      "  --describe          print the reference of all settings\n"
      "\n"
      "Errors go to the standard error as file:line:column: text; the status is 1 when there are any.\n",
      aff_cli_check },
    { "status", "status --url http://HOST:PORT [--json]", "show how a cluster is, as one of its nodes sees it",
      "  --url U             any node of the cluster\n"
      "  --json              what the node's /cluster answers, for programs\n"
      "\n"
      "Nodes, and of each partition who leads it, with which epoch, who stands by, and what moves. The last columns are of\n"
      "the node that was asked: its role, how far its replica is, keys that wait for a repair. The status is 0 when it answered.\n",
      aff_cli_status },
    { "partition", "partition KEY|--stdin --partitions N [--route R] [--hex]",
      "print the partition and hash of a key",
      "  --partitions N      number of partitions of the keyspace\n"
      "  --route R           route of the keyspace, such as 'up-to \"/\"'; without it the whole key decides\n"
      "  --hex               keys are written as hexadecimal digits\n"
      "  --stdin             keys are the lines of the standard input, one line of output each\n"
      "\n"
      "A key that begins with - stands after --.\n",
      aff_cli_partition },
    { "verify", "verify --url http://HOST:PORT [--here] [--keyspace K [--partition P]] [--timeout D] [--json]",
      "have the nodes of a cluster compare their stores with the changelog",
      "  --url U             a node; all that live in its cluster are asked, one after the other\n"
      "  --here              this node alone\n"
      "  --keyspace K        this keyspace alone\n"
      "  --partition P       this partition alone\n"
      "  --timeout D         for all of it, such as 30s or 2h; 10m if not said\n"
      "  --json              one line of JSON, for programs\n"
      "\n"
      "A node reads the changelog of each partition that it holds from its beginning, apart from its state, and compares\n"
      "digests at one offset, while it serves or stands by. The status is 0 when every replica is equal, 1 otherwise.\n",
      aff_cli_verify },
    { "drain", "drain --url http://HOST:PORT [--timeout D]", "have a node of a cluster give away what it leads",
      "  --url U             the node\n"
      "  --timeout D         how long to wait for it, such as 30s; 60s if not said\n"
      "\n"
      "Others take over one partition after the other while requests are served. Then it can be stopped; SIGTERM does both. The\n"
      "status is 0 when the node leads nothing any more.\n",
      aff_cli_drain },
    { "handover", "handover --url http://HOST:PORT --keyspace K --partition P [--to NODE] [--timeout D]",
      "have another node of a cluster lead a partition",
      "  --url U             any node of the cluster\n"
      "  --keyspace K        the keyspace\n"
      "  --partition P       the number of the partition\n"
      "  --to NODE           who is to lead it; a node that holds it. Without it, whoever is best\n"
      "  --timeout D         how long to wait for it, such as 30s; 60s if not said\n",
      aff_cli_handover },
    { "version", "version", "print the version", NULL, run_version },
    { "help", "help [COMMAND]", "print how a command is used", NULL, run_help },
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static const struct aff_cli_command *find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void print_commands(FILE *to)
{
    fputs("usage: affinity COMMAND\n\n", to);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(to, "  %-11s %s\n", commands[i].name, commands[i].summary);
    fputs("\n`affinity help COMMAND` shows the options of one.\n", to);
}

static int unknown_command(const char *name)
{
    char known[128] = "";
    for (size_t i = 0, used = 0; i < COMMANDS && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", commands[i].name);
    fprintf(stderr, "affinity: there is no command %s; there are %s\n", name, known);
    return AFF_EXIT_USAGE;
}

static int help_for(const struct aff_cli_command *command)
{
    printf("usage: affinity %s\n\n%c%s.\n", command->usage, command->summary[0] - 'a' + 'A', command->summary + 1);
    if (command->details)
        printf("\n%s", command->details);
    return AFF_EXIT_OK;
}

static int run_help(int argc, char **argv)
{
    if (argc > 2)
        return aff_cli_usage(argv[0], "expected one command at most");
    if (argc == 2) {
        const struct aff_cli_command *command = find(argv[1]);
        return command ? help_for(command) : unknown_command(argv[1]);
    }
    print_commands(stdout);
    return AFF_EXIT_OK;
}

static int run_version(int argc, char **argv)
{
    if (argc > 1)
        return aff_cli_usage(argv[0], "%s is too much: nothing follows version", argv[1]);
    puts("affinity " AFF_CLI_VERSION);
    return AFF_EXIT_OK;
}

static bool asks_for_help(const char *argument)
{
    return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_commands(stderr);
        return AFF_EXIT_USAGE;
    }
    const char *name = asks_for_help(argv[1]) ? "help" : strcmp(argv[1], "--version") == 0 ? "version" : argv[1];
    const struct aff_cli_command *command = find(name);
    if (!command)
        return unknown_command(name);
    if (argc > 2 && asks_for_help(argv[2]))
        return help_for(command);
    argv[1] = (char *)(uintptr_t)command->name;
    return command->run(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    int status = run(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("affinity: the standard output cannot be written\n", stderr);
        return AFF_EXIT_FAILED;
    }
    return status;
}

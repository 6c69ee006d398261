// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Completion scripts for shells, from the table. */
#include "opts/parts.h"

#include <string.h>

typedef void (*writer)(FILE *out, enum program program);

static bool is_of(const struct opt_def *d, enum program program)
{
	return d->programs & program;
}

/* A list of words after commas; one word otherwise. */
static bool takes_list(const struct opt_def *d)
{
	return d->kind == OPT_FILTER && d->word;
}

/* The words, with a blank between them; one that comes twice is written once. */
static void put_words(FILE *out, const struct opt_def *d)
{
	const char *word;

	for (u32 i = 0; (word = d->word(i)); i++) {
		bool again = false;

		for (u32 j = 0; j < i && !again; j++)
			again = !strcmp(d->word(j), word);
		if (!again)
			fprintf(out, "%s%s", i ? " " : "", word);
	}
}

static void put_bash_case(FILE *out, const struct opt_def *d)
{
	if (d->letter)
		fprintf(out, "\t-%c|", d->letter);
	else
		fputc('\t', out);
	fprintf(out, "--%s) ", d->name);
	if (d->word) {
		fprintf(out, "words='");
		put_words(out, d);
		fprintf(out, "'%s", takes_list(d) ? " list=,*" : "");
	} else if (d->kind == OPT_FILE) {
		fputs("files=-f", out);
	} else if (d->kind == OPT_DIR) {
		fputs("files=-d", out);
	} else {
		fputs("return", out);
	}
	fputs(" ;;\n", out);
}

/*
 * Bash takes "--how=fu" apart at the "=". After an optional argument nothing is completed but with
 * "=", as the next word is none.
 */
static void put_bash(FILE *out, enum program program)
{
	const char *name = program_name(program);

	fprintf(out,
		"# bash completion for %s\n_%s()\n{\n"
		"\tlocal cur=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD-1]}\n"
		"\tlocal words= files= list= before=\n"
		"\tCOMPREPLY=()\n"
		"\tif [[ $cur == = ]]; then\n\t\tcur=\n"
		"\telif [[ $option == = ]]; then\n\t\toption=${COMP_WORDS[COMP_CWORD-2]}\n"
		"\telse\n\t\tcase $option in\n\t\t",
		name, name);
	for (const struct opt_def *d = opt_table; d->name; d++) {
		if (!is_of(d, program) || d->arg == ARG_REQUIRED)
			continue;
		if (d->letter)
			fprintf(out, "-%c|", d->letter);
		fprintf(out, "--%s|", d->name);
	}
	fputs("=) option= ;;\n\t\tesac\n\tfi\n\tcase $option in\n", out);
	for (const struct opt_def *d = opt_table; d->name; d++)
		if (is_of(d, program) && d->arg != ARG_NO)
			put_bash_case(out, d);
	fputs("\t*)\n\t\tif [[ $cur == -* ]]; then\n\t\t\twords='", out);
	for (const struct opt_def *d = opt_table; d->name; d++) {
		if (!is_of(d, program))
			continue;
		if (d->letter)
			fprintf(out, "-%c ", d->letter);
		fprintf(out, "--%s ", d->name);
	}
	fprintf(out,
		"'\n\t\telse\n\t\t\tfiles=-f\n\t\tfi\n\t\t;;\n\tesac\n"
		"\tif [[ $list && $cur == *,* ]]; then\n"
		"\t\tbefore=${cur%%,*},\n\t\tcur=${cur##*,}\n\tfi\n"
		"\tif [[ $files ]]; then\n"
		"\t\tcompopt -o filenames 2>/dev/null\n"
		"\t\tmapfile -t COMPREPLY < <(compgen $files -- \"$cur\")\n"
		"\telse\n"
		"\t\tmapfile -t COMPREPLY < <(compgen -P \"$before\" -W \"$words\" -- \"$cur\")\n"
		"\tfi\n}\ncomplete -F _%s %s\n",
		name, name);
}

/* Within single quotes, where zsh's _arguments takes brackets and colons for its own. */
static void put_zsh_text(FILE *out, const char *s)
{
	for (; *s; s++) {
		if (*s == '\'')
			fputs("'\\'", out);
		else if (strchr("[]:\\", *s))
			fputc('\\', out);
		fputc(*s, out);
	}
}

static void put_zsh_action(FILE *out, const struct opt_def *d)
{
	if (d->arg == ARG_NO)
		return;
	fprintf(out, ":%s%s:", d->arg == ARG_OPTIONAL ? ":" : "", d->arg_name);
	if (d->word) {
		fputs(takes_list(d) ? "_sequence compadd - " : "(", out);
		put_words(out, d);
		fputs(takes_list(d) ? "" : ")", out);
	} else if (d->kind == OPT_FILE) {
		fputs("_files", out);
	} else if (d->kind == OPT_DIR) {
		fputs("_files -/", out);
	}
}

static void put_zsh(FILE *out, enum program program)
{
	static const char *const letter_end[] = { "", "-", "+" }, *const long_end[] = { "", "=-",
											"=" };

	fprintf(out, "#compdef %s\n_arguments -s -S \\\n", program_name(program));
	for (const struct opt_def *d = opt_table; d->name; d++) {
		if (!is_of(d, program))
			continue;
		if (d->letter)
			fprintf(out, "\t'(-%c --%s)'{-%c%s,--%s%s}'[", d->letter, d->name,
				d->letter, letter_end[d->arg], d->name, long_end[d->arg]);
		else
			fprintf(out, "\t'--%s%s[", d->name, long_end[d->arg]);
		put_zsh_text(out, d->help);
		fputc(']', out);
		put_zsh_action(out, d);
		fputs("' \\\n", out);
	}
	fputs("\t'*:PATH:_files'\n", out);
}

static void put_fish_text(FILE *out, const char *s)
{
	for (; *s; s++) {
		if (*s == '\'' || *s == '\\')
			fputc('\\', out);
		fputc(*s, out);
	}
}

static void put_fish(FILE *out, enum program program)
{
	for (const struct opt_def *d = opt_table; d->name; d++) {
		if (!is_of(d, program))
			continue;
		fprintf(out, "complete -c %s -l %s", program_name(program), d->name);
		if (d->letter)
			fprintf(out, " -s %c", d->letter);
		if (d->arg == ARG_REQUIRED)
			fputs(d->kind == OPT_FILE || d->kind == OPT_DIR ? " -r -F" : " -x", out);
		if (d->word) {
			fputs(takes_list(d) ? " -a '(__fish_append , " : " -f -a '", out);
			put_words(out, d);
			fputs(takes_list(d) ? ")'" : "'", out);
		}
		fputs(" -d '", out);
		put_fish_text(out, d->help);
		fputs("'\n", out);
	}
}

static const struct {
	const char *shell;
	writer write;
} writers[] = { { "bash", put_bash }, { "zsh", put_zsh }, { "fish", put_fish } };

const char *opt_shell_word(u32 i)
{
	return i < sizeof(writers) / sizeof(writers[0]) ? writers[i].shell : NULL;
}

void opts_completion(FILE *out, enum program program, u32 shell)
{
	writers[shell].write(out, program);
}

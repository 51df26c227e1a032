/*
 * affinity/export.h - marks of the public interface: what is exported, what must be used, what is checked by compilers.
 *
 * Everything is built hidden; AFF_API names are the only ones that libaffinity.so exports.
 */
#ifndef AFFINITY_EXPORT_H
#define AFFINITY_EXPORT_H

#if defined(__GNUC__)
#define AFF_API __attribute__((visibility("default")))
#define AFF_PRINTF(format_index, first_arg) __attribute__((format(printf, format_index, first_arg)))
#define AFF_MUST_USE __attribute__((warn_unused_result))
#else
#define AFF_API
#define AFF_PRINTF(format_index, first_arg)
#define AFF_MUST_USE
#endif

#endif

<?php

declare(strict_types=1);

namespace StandIn;

/** Slugs as the application makes them, for the letters that its tests use. */
final class Slug
{
    private const LETTERS = [
        'ā' => 'a', 'ī' => 'i', 'ū' => 'u', 'é' => 'e', 'è' => 'e', 'á' => 'a', 'à' => 'a', 'í' => 'i', 'ó' => 'o', 'ú' => 'u', 'ü' => 'u', 'ö' => 'o', 'ä' => 'a',
        'ñ' => 'n', 'ç' => 'c', 'ß' => 'ss', 'æ' => 'ae', 'Æ' => 'ae', 'Ā' => 'a', 'É' => 'e',
        'ا' => 'a', 'ب' => 'b', 'پ' => 'p', 'ت' => 't', 'ح' => 'h', 'خ' => 'kh', 'د' => 'd', 'ر' => 'r', 'س' => 's', 'ع' => 'aa', 'ک' => 'k', 'ل' => 'l',
        'م' => 'm', 'ن' => 'n', 'و' => 'o', 'ی' => 'y', 'ي' => 'y',
    ];

    public static function of(string $text): string
    {
        $text = strtolower(strtr(mb_substr($text, 0, 250), self::LETTERS));
        $text = str_replace('@', '-at-', preg_replace('/_+/', '-', $text));
        $text = preg_replace('/[^a-z0-9\s-]+/', '', $text);
        return trim(preg_replace('/[\s-]+/', '-', $text), '-');
    }

    /** A slug that no other row of the table has, or of those with the same values. */
    public static function unique(string $text, string $table, string $self, array $among = []): string
    {
        $base = self::of($text);
        $condition = '"slug" = ? and "id" <> ?' . implode('', array_map(static fn (string $c): string => " and \"$c\" = ?", array_keys($among)));
        $taken = static fn (string $slug): bool => Database::data()->first("select 1 from \"$table\" where $condition limit 1", [$slug, $self, ...array_values($among)]) !== null;
        if ($base !== '' && !$taken($base)) {
            return $base;
        }
        for ($n = 1; ; $n++) {
            if (!$taken("$base-$n")) {
                return "$base-$n";
            }
        }
    }
}

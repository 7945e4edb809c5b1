<?php

declare(strict_types=1);

namespace StandIn;

/** The variables of the application's config files, with their defaults. */
final class Environment
{
    public static function get(string $name, ?string $default = null): ?string
    {
        $value = getenv($name);
        return $value === false ? $default : $value;
    }

    public static function flag(string $name): bool
    {
        return in_array(strtolower((string) self::get($name, 'false')), ['1', 'true', '(true)'], true);
    }

    public static function version(): string
    {
        return trim((string) file_get_contents(dirname(__DIR__) . '/VERSION'));
    }
}

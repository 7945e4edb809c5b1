<?php

declare(strict_types=1);

namespace StandIn;

abstract class Projector
{
    /** @return array<string, string> the method for each alias */
    abstract public function handles(): array;

    public function queued(): bool
    {
        return false;
    }

    public function resetState(): void
    {
    }

    protected static function data(): Database
    {
        return Database::data();
    }

    /** A row that must be there, as findOrFail() has it. */
    protected static function findOrFail(string $table, string $id): array
    {
        return self::data()->first("select * from \"$table\" where \"id\" = ? limit 1", [$id])
            ?? throw new \RuntimeException("No query results for model [$table] $id");
    }

    /** save(): nothing is written when nothing changed. */
    protected static function save(string $table, array $row, array $changes): void
    {
        $dirty = array_filter($changes, static fn (mixed $value, string $column): bool => $row[$column] !== $value, ARRAY_FILTER_USE_BOTH);
        if ($dirty === []) {
            return;
        }
        $dirty['updated_at'] = date('Y-m-d H:i:s');
        $set = implode(', ', array_map(static fn (string $c): string => "\"$c\" = ?", array_keys($dirty)));
        self::data()->run("update \"$table\" set $set where \"id\" = ?", [...array_values($dirty), $row['id']]);
    }

    /** @return array<string, string> */
    protected static function timestamps(): array
    {
        $now = date('Y-m-d H:i:s');
        return ['created_at' => $now, 'updated_at' => $now];
    }
}

<?php

declare(strict_types=1);

namespace StandIn;

use PDO;
use PDOStatement;
use RuntimeException;

/** A connection of config/database.php: "events" or "data". */
final class Database
{
    /** @var array<string, self> */
    private static array $open = [];

    private function __construct(private PDO $pdo)
    {
    }

    public static function events(): self
    {
        return self::connection('EVENTS_DB_', 'nawhas_events');
    }

    public static function data(): self
    {
        return self::connection('DATA_DB_', 'nawhas_data');
    }

    /** Stands for Redis, which all versions share: a database with one table. */
    public static function queue(): self
    {
        return self::connection('QUEUE_DB_', 'nawhas_queue');
    }

    /** What GET /alive tells of a connection. */
    public static function place(string $prefix, string $default): array
    {
        $of = self::settings($prefix, $default);
        return ['host' => $of['host'], 'database' => $of['database']];
    }

    private static function settings(string $prefix, string $default): array
    {
        $of = static fn (string $name, string $fallback): string =>
            (string) Environment::get($prefix . $name, Environment::get('DB_' . $name, $fallback));
        $settings = [
            'host' => $of('HOST', 'db'), 'port' => $of('PORT', '5432'), 'database' => $of('DATABASE', $default),
            'username' => $of('USERNAME', 'docker'), 'password' => $of('PASSWORD', 'secret'),
        ];
        // It overrides every connection, as in the application.
        $url = Environment::get('DATABASE_URL');
        if ($url !== null && $url !== '') {
            $parts = parse_url($url);
            if ($parts === false) {
                throw new RuntimeException('The database configuration URL is malformed.');
            }
            $settings = array_merge($settings, array_filter([
                'host' => $parts['host'] ?? null, 'port' => isset($parts['port']) ? (string) $parts['port'] : null,
                'database' => isset($parts['path']) ? ltrim($parts['path'], '/') : null,
                'username' => $parts['user'] ?? null, 'password' => isset($parts['pass']) ? rawurldecode($parts['pass']) : null,
            ]));
        }
        return $settings;
    }

    private static function connection(string $prefix, string $default): self
    {
        if (isset(self::$open[$prefix])) {
            return self::$open[$prefix];
        }
        $of = self::settings($prefix, $default);
        $pdo = new PDO(
            "pgsql:host={$of['host']};port={$of['port']};dbname='{$of['database']}';sslmode=prefer",
            $of['username'],
            $of['password'],
            [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_ASSOC, PDO::ATTR_EMULATE_PREPARES => false],
        );
        // Whatever the role's own search_path is, the connection sets one.
        $pdo->exec("set names 'utf8'");
        $pdo->exec('set search_path to "public"');
        return self::$open[$prefix] = new self($pdo);
    }

    public static function forget(): void
    {
        self::$open = [];
    }

    public function run(string $sql, array $values = []): PDOStatement
    {
        $statement = $this->pdo->prepare($sql);
        foreach (array_values($values) as $i => $value) {
            $type = is_int($value) ? PDO::PARAM_INT : (is_bool($value) ? PDO::PARAM_BOOL : PDO::PARAM_STR);
            $statement->bindValue($i + 1, $value, $value === null ? PDO::PARAM_NULL : $type);
        }
        $statement->execute();
        return $statement;
    }

    public function script(string $sql): void
    {
        $this->pdo->exec($sql);
    }

    /** @return list<array<string, mixed>> */
    public function all(string $sql, array $values = []): array
    {
        return $this->run($sql, $values)->fetchAll();
    }

    /** @return array<string, mixed>|null */
    public function first(string $sql, array $values = []): ?array
    {
        $row = $this->run($sql, $values)->fetch();
        return $row === false ? null : $row;
    }

    /** @param array<string, mixed> $row */
    public function insert(string $table, array $row): void
    {
        $columns = implode(', ', array_map(static fn (string $c): string => '"' . $c . '"', array_keys($row)));
        $this->run("insert into \"$table\" ($columns) values (" . implode(', ', array_fill(0, count($row), '?')) . ')', $row);
    }
}

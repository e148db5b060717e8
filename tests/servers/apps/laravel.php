<?php
// Laravel's own query builder and paginators: paginate, simplePaginate, cursorPaginate.
// Run by PHP's own web server; the router that gives the current page is what Laravel's provider does.

require_once '/usr/share/php/Illuminate/Database/autoload.php';
require_once '/usr/share/php/Illuminate/Pagination/autoload.php';

use Illuminate\Database\Capsule\Manager;
use Illuminate\Pagination\Cursor;
use Illuminate\Pagination\CursorPaginator;
use Illuminate\Pagination\Paginator;

$manager = new Manager;
$manager->addConnection(['driver' => 'sqlite', 'database' => getenv('DATABASE'), 'prefix' => '']);

$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
Paginator::currentPathResolver(fn () => 'http://' . $_SERVER['HTTP_HOST'] . $path);
Paginator::currentPageResolver(fn ($name = 'page') => max(1, (int) ($_GET[$name] ?? 1)));
CursorPaginator::currentCursorResolver(fn ($name = 'cursor') => Cursor::fromEncoded($_GET[$name] ?? null));

header('Content-Type: application/json');
$cars = $manager->getConnection()->table('cars')->orderBy('id');
$size = min((int) ($_GET['per_page'] ?? 15), 100);
if (preg_match('#^/(paginate|simplePaginate|cursorPaginate)/cars$#', $path, $found)) {
    echo $cars->{$found[1]}($size)->appends(array_diff_key($_GET, ['page' => 1, 'cursor' => 1]))->toJson();
} elseif (preg_match('#^/\w+/cars/(\d+)$#', $path, $found) && $car = $cars->find($found[1])) {
    echo json_encode(['data' => $car]);
} else {
    http_response_code(404);
    echo json_encode(['message' => 'Not Found']);
}
